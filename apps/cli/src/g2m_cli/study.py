"""Where the artefacts of one study lie, and what each says it was made from."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from g2m_cli.console import say
from g2m_cli.files import write_json
from g2m_cli.processes import rank
from g2m_cli.provenance import read_provenance


@dataclass(frozen=True)
class Study:
    """Paths below a study's folder."""

    root: Path

    @property
    def dataset(self) -> Path:
        """The paired dataset."""
        return self.root / "dataset"

    @property
    def embeddings(self) -> Path:
        """The conditions."""
        return self.root / "embeddings.h5ad"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report"

    def run(self, name: str) -> Path:
        """A training run: ``encoders``, ``vae``, or a generator's."""
        return self.root / "runs" / name

    def generated(self, name: str) -> Path:
        """Generated images of one kind."""
        return self.root / "generated" / name


def folder_id(folder: Path) -> str | None:
    """Read the id of an artefact that keeps its provenance in a folder."""
    record = read_provenance(folder)
    return None if record is None else str(record["id"])


def dataset_id(folder: Path) -> str | None:
    """Read the id of a dataset."""
    try:
        return str(json.loads((folder / "dataset.json").read_text())["id"])
    except (OSError, KeyError, json.JSONDecodeError):
        return None


def training_pairs(folder: Path) -> int:
    """Count the training pairs of a dataset without opening it; 0 where there is none."""
    try:
        samples = json.loads((folder / "dataset.json").read_text())["samples"]
        return sum(int(sample["spots"]) for sample in samples.values() if sample["split"] == "train")
    except (OSError, KeyError, TypeError, ValueError):
        return 0


def embeddings_id(path: Path) -> str | None:
    """Read the id of an embeddings file without loading it."""
    return _text_in(path, "uns/provenance/id")


def encoders_of_embeddings(path: Path) -> str | None:
    """Read the id of the encoders that an embeddings file is of."""
    return _text_in(path, "uns/provenance/parents/encoders")


def _text_in(path: Path, key: str) -> str | None:
    import h5py

    try:
        with h5py.File(path) as file:
            value = file[key][()]
    except (OSError, KeyError):
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


class Timed:
    """Times a block and keeps its seconds in a file, also for a later run that skips it."""

    def __init__(self, name: str, seconds: dict[str, float], file: Path) -> None:
        self.name, self.seconds, self.file = name, seconds, file

    def __enter__(self) -> None:
        say(f"--- {self.name}")
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and rank() == 0:
            self.seconds[self.name] = round(time.monotonic() - self._began, 2)
            write_json(self.file, self.seconds)


def read_seconds(file: Path) -> dict[str, float]:
    """Read what earlier runs kept."""
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, json.JSONDecodeError):
        return {}


def left_out_file(study: Study) -> Path:
    """Where a run notes which questions of genes it could not ask, and why; the report tells it."""
    return study.root / "interpret" / "left-out.json"
