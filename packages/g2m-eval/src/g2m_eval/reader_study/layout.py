"""The folder of a reader study, and what of it the server may read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g2m_eval.errors import InputError
from g2m_eval.reader_study.png import SIGNATURE

STUDY, LINKS, IMAGES, ANSWERS, KEY = "study.json", "links.csv", "images", "answers.sqlite", "key.json"
CHOICES = ("real", "generated")
"""What a reader may answer, and what is true of an image."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error)


@dataclass(frozen=True, kw_only=True)
class ReaderStudy:
    """What readers are shown: nothing here says which image is real.

    A study's folder holds ``study.json`` (title, instructions, each reader's order), ``images/<name>.png``,
    ``links.csv`` (reader, private token), ``answers.sqlite`` once it is served, and ``key.json`` (name -> truth, spot,
    group), which only scoring reads: a copy of the folder without the key can be served as well. The report of scoring,
    by default in ``report/``, shows which image is real and must be left out of such a copy, too.
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
        It is no reader study, its links are missing, or its parts do not fit together.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        with (folder / LINKS).open(newline="", encoding="utf-8") as file:
            tokens = {row["token"] or "": row["reader"] or "" for row in csv.DictReader(file)}
        study = ReaderStudy(
            folder=folder,
            title=str(record["title"]),
            instructions=str(record["instructions"]),
            width_um=None if record["width_um"] is None else float(record["width_um"]),
            orders={str(reader): [str(name) for name in order] for reader, order in record["orders"].items()},
            tokens=tokens,
        )
    except _UNREADABLE as error:
        raise InputError(
            f"{folder} is no reader study ({STUDY}, {LINKS}): `g2m eval study create` makes one"
        ) from error
    if not tokens or "" in tokens or not set(tokens.values()) <= set(study.orders):
        raise InputError(f"{folder / LINKS}: needs a line `reader,token` for each reader of {STUDY}; put it back there")
    if not study.images or any(sorted(order) != study.images for order in study.orders.values()):
        raise InputError(f"{folder / STUDY}: every reader must see the same images; put the original back there")
    return study


def read_images(study: ReaderStudy) -> dict[str, bytes]:
    """Read the PNG file of every image, by name.

    Raises
    ------
    InputError
        One is missing, or is no PNG.
    """
    pictures = {}
    for name in study.images:
        path = study.folder / IMAGES / f"{name}.png"
        try:
            pictures[name] = path.read_bytes()
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: a picture of the study is missing; put it back there") from error
        if not pictures[name].startswith(SIGNATURE):
            raise InputError(f"{path}: is no PNG; put the study's own picture back there")
    return pictures


def read_key(folder: Path) -> Mapping[str, Any]:
    """Read which image is what: ``images`` (name -> truth, spot, group), ``model``, ``provenance``, ``levels``.

    Raises
    ------
    InputError
        The key is not there, or is none.
    """
    path = Path(folder) / KEY
    try:
        key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: the study cannot be scored without its key; put it back there") from error
    try:
        whole = isinstance(key["model"], str) and isinstance(key["provenance"], dict) and bool(key["images"])
        whole = whole and all({"spot", "group"} <= set(e) and e["truth"] in CHOICES for e in key["images"].values())
    except _UNREADABLE:
        whole = False
    if not whole:
        raise InputError(f"{path}: is no key of a reader study; put the original back there")
    return key
