"""What a build had to say of its sections: genes left out, windows of other bins, patches beyond the slide."""

from __future__ import annotations

import json
from pathlib import Path

from g2m_cli.console import say


def say_notes(dataset: Path) -> None:
    """Tell each note of a dataset once, with the sections that it is about."""
    for note in list_notes(dataset):
        say(f"note: {note}")


def list_notes(dataset: Path) -> list[str]:
    """The notes of a dataset, each once, in the order of its sections and behind their names.

    Parameters
    ----------
    dataset
        A dataset folder.
    """
    samples = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))["samples"]
    about: dict[str, list[str]] = {}
    for sample, entry in samples.items():
        for note in entry["notes"]:
            about.setdefault(note, []).append(sample)
    return [
        f"{'all sections' if len(who) == len(samples) > 1 else ', '.join(who)}: {note}" for note, who in about.items()
    ]
