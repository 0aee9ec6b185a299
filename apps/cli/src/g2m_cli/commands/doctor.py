"""``g2m doctor``: this machine, and a study or a dataset, before anyone trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from g2m_cli.console import say, show, track
from g2m_cli.errors import InputError

if TYPE_CHECKING:
    from g2m_cli.environment import PresetWeights
    from g2m_data.doctor.report import Check

_SIGNS = {"ok": "ok", "warning": "WARNING", "error": "ERROR"}
_VERDICTS = {
    "ok": "verdict: nothing found that speaks against training",
    "warning": "verdict: usable, but look at what is marked WARNING and at the pictures first",
    "error": "verdict: NOT usable as it is; see what is marked ERROR",
}
_WIDTH = 13
_PRESETS_WIDTH = 19


def doctor(
    study: Annotated[
        Path | None, typer.Argument(help="Study manifest (TOML) or dataset folder; without one, only this machine.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for pictures and doctor.json; by default `doctor` beside the study.")
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="Weights that will be needed, a file or folder. Repeatable.")
    ] = None,
) -> None:
    """Check this machine and a study's scale, alignment, genes and slides, and draw its spots on its slides.

    Lists the pretrained weights that each preset starts from, and whether they are here. Of a manifest the raw files
    are read and nothing is built. Exit code 1: something cannot be used as it is.
    """
    if study is None and out is not None:
        raise InputError("--out is for a study's pictures: name the study manifest or the dataset as well")
    from g2m_cli.environment import check_environment, preset_weights
    from g2m_data.doctor.report import worst

    known = preset_weights()
    machine = check_environment(Path.cwd() if study is None else study.parent, weights or [], known)
    show("this machine")
    _show_checks(machine)
    show("\nweights that presets start from")
    _show_weights(known)
    verdicts = [check.verdict for check in machine]
    if study is not None:
        folder = study.absolute().parent / "doctor" if out is None else out
        reports = _examine(study, folder)
        verdicts += [report["verdict"] for report in reports.values()]
        _write(folder, study, worst(verdicts), machine, known, reports)
        say(f"wrote {folder / 'doctor.json'} and a picture of each section beside it")
    show(f"\n{_VERDICTS[worst(verdicts)]}")
    raise typer.Exit(1 if worst(verdicts) == "error" else 0)


def _examine(study: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Examine and draw the sections one by one; their reports as plain values."""
    from g2m_data.atomic import temporary_sibling
    from g2m_data.doctor.examine import examine
    from g2m_data.doctor.overlay import can_be_drawn, draw_overlay

    reports = {}
    for examination in examine(study, track=track):
        report = examination.report
        show(f"\n{report.id} ({report.platform}, {report.split})")
        _show_checks(report.checks)
        reports[report.id] = report.to_json()
        if can_be_drawn(examination):
            picture = folder / f"{report.id}.png"
            with temporary_sibling(picture, _elsewhere(folder)) as partial:
                draw_overlay(examination).save(partial, format="PNG")
            reports[report.id]["picture"] = picture.name
    return reports


def _write(
    folder: Path,
    study: Path,
    verdict: str,
    machine: Sequence[Check],
    known: Sequence[PresetWeights],
    reports: Mapping[str, Mapping[str, Any]],
) -> None:
    from dataclasses import asdict

    from g2m_cli.files import write_json
    from g2m_data.atomic import temporary_sibling

    content = {
        "study": study.name,
        "verdict": verdict,
        "machine": [asdict(check) for check in machine],
        "weights": [asdict(row) for row in known],
    }
    with temporary_sibling(folder / "doctor.json", _elsewhere(folder)) as partial:
        write_json(partial, content | {"samples": reports})


def _elsewhere(folder: Path) -> str:
    return f"pictures go to {folder} unless --out names another"


def _show_checks(checks: Sequence[Check]) -> None:
    import textwrap

    for check in checks:
        first = f"  {_SIGNS[check.verdict]:8}{check.name:{_WIDTH}}"
        show(textwrap.fill(check.message, 118, initial_indent=first, subsequent_indent=" " * len(first)))
        for line in _list_scales(check):
            show(" " * len(first) + line)


def _show_weights(known: Sequence[PresetWeights]) -> None:
    """Two lines a row, unbroken, so that an id or a setting can be copied."""
    for row in known:
        show(f"  {'ok' if row.here else 'missing':8}{', '.join(row.presets):{_PRESETS_WIDTH}}{row.purpose}")
        copy = "" if row.here else f"; local copy: {row.option}"
        show(f"{'':{_PRESETS_WIDTH + 10}}{row.name} ({row.licence or 'licence not known'}){copy}")
    show(f"  {'ok':8}{'tiny':{_PRESETS_WIDTH}}nothing")
    if not all(row.here for row in known):
        show(
            "  What is missing is fetched by the first run that is connected, or give a local copy.\n"
            "  Gated: first request access on its page at huggingface.co and run `hf auth login`."
        )


def _list_scales(check: Check) -> list[str]:
    """Every source of the scale beside the one in use, a line each."""
    numbers = check.numbers
    notes = {source: f"{percent:+.1f} %" for source, percent in numbers.get("difference_percent", {}).items()}
    for source in numbers.get("no_rulers", []):
        notes[source] += " (no ruler: never used)"
    if "used" in numbers:
        notes[numbers["used"]] = "used"
    return [f"{source:24} {mpp:9.4f} µm/px  {notes.get(source, '')}" for source, mpp in numbers.get("mpp", {}).items()]
