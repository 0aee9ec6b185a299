"""The folder of a reader study, and what of it the server may read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g2m_eval.errors import InputError

STUDY, LINKS, IMAGES, ANSWERS, KEY = "study.json", "links.csv", "images", "answers.sqlite", "key.json"
CHOICES = ("real", "generated")
"""What a reader may answer, and what is true of an image."""


@dataclass(frozen=True, kw_only=True)
class ReaderStudy:
    """What readers are shown: nothing here says which image is real.

    A study's folder holds ``study.json`` (title, instructions, each reader's order), ``images/<name>.png``,
    ``links.csv`` (reader, private token), ``answers.sqlite`` once it is served, and ``key.json`` (name -> truth, spot,
    group), which only scoring reads: a copy of the folder without the key can be served as well.
    """

    folder: Path
    title: str
    instructions: str
    """Paragraphs separated by empty lines."""
    width_um: float | None
    """Width of what an image shows, if it is the same for all."""
    orders: Mapping[str, Sequence[str]]
    """For each reader, the names of all images in the order they are shown."""
    tokens: Mapping[str, str]
    """Reader of each private link ``/r/<token>``."""

    @property
    def images(self) -> list[str]:
        """Names of the images, sorted."""
        return sorted(next(iter(self.orders.values())))


def open_study(folder: Path) -> ReaderStudy:
    """Read a study's folder, but not its key.

    Raises
    ------
    InputError
        It is no reader study, or its links are missing.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        with (folder / LINKS).open(newline="", encoding="utf-8") as file:
            tokens = {row["token"]: row["reader"] for row in csv.DictReader(file)}
        return ReaderStudy(
            folder=folder,
            title=record["title"],
            instructions=record["instructions"],
            width_um=record["width_um"],
            orders=record["orders"],
            tokens=tokens,
        )
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            f"{folder} is no reader study ({STUDY}, {LINKS}): `g2m eval study create` makes one"
        ) from error


def read_key(folder: Path) -> Mapping[str, Any]:
    """Read which image is what: ``images``, name -> truth, model, spot, group.

    Raises
    ------
    InputError
        The key is not there.
    """
    path = Path(folder) / KEY
    try:
        key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: the study cannot be scored without its key; put it back there") from error
    return key
