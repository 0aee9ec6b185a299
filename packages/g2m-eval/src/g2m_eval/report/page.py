"""A report: one self-contained page, figures and tables beside it, and every number in ``metrics.json``."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from g2m_eval.errors import InputError
from g2m_eval.figures.style import both_formats
from g2m_eval.report.folders import beside, swap_in, sweep
from g2m_eval.report.markup import flatten, plain_values, prepare_sections, render_page

_OWN_FILES = ("report.html", "metrics.json")
_LISTING = ".report.json"  # what a report consists of, so that nothing else is ever replaced with it
_OLDER = re.compile(r"report\.html|metrics\.json|table1\.csv|figures/[\w-]+\.png")  # what reports without one hold


@dataclass(frozen=True, kw_only=True)
class SummaryTile:
    """One of the few numbers on top: what it is, its value as text, and what to compare it with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """A figure; its caption says what was compared with what.

    Attributes
    ----------
    name
        Of its files (letters, digits, - and _).
    number
        As it is cited, "Figure C.1"; by default figures are counted through the page.
    alt
        What is to be seen, for those who cannot; the caption's first sentence by default.
    """

    name: str
    figure: Figure
    caption: str
    number: str = ""
    alt: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A table; its caption says what was compared, with which extractor, on how many images.

    Attributes
    ----------
    name
        Of its file, ``.csv`` (letters, digits, - and _); without one it is on the page alone.
    number
        As it is cited, "Table 1".
    """

    table: pd.DataFrame
    caption: str
    name: str = ""
    number: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportSection:
    """A chapter of the page: paragraphs of plain text, then figures, then tables. Each stage adds its own."""

    title: str
    text: str = ""
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()


def write_report(
    directory: Path,
    *,
    title: str,
    metrics: Mapping[str, Any],
    sections: Sequence[ReportSection] = (),
    summary: Sequence[SummaryTile] = (),
    warnings: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
    lead: str = "",
    files: Mapping[str, Callable[[Path], Any]] | None = None,
    dpi: int = 160,
) -> None:
    """Write ``report.html``, ``metrics.json``, figures and named tables; an older report is replaced at once.

    Every figure is in ``figures/`` as PNG and as SVG, every named table as CSV, and what is given as provenance in
    ``provenance.json``.

    Parameters
    ----------
    directory
        Must not exist, be empty, or hold an earlier report of the same kind and nothing else.
    metrics
        Nested mapping of numbers and text; numpy values become plain ones, NaN and infinity ``null``.
    sections
        Chapters in order. Paragraphs of their text are separated by empty lines. All text is escaped.
    summary, warnings, lead
        Tiles on top; sentences of "What to make of this"; a line below the title.
    provenance
        Settings, versions, ids of parent artefacts.
    files
        Further files of the folder: by name, what writes one at a given path.

    Raises
    ------
    InputError
        The directory holds something else, or two figures or tables share a name.
    """
    directory = Path(directory)
    kind = (provenance or {}).get("kind")
    sweep(directory)
    check_replaceable(directory, kind)
    figures = [figure for section in sections for figure in section.figures]
    tables = [table for section in sections for table in section.tables if table.name]
    _check_names([figure.name for figure in figures], "figure")
    _check_names([table.name for table in tables], "table")
    directory.parent.mkdir(parents=True, exist_ok=True)
    building = beside(directory, "building")
    building.mkdir()
    try:
        images: dict[str, bytes] = {}
        (building / "figures").mkdir()
        for figure in figures:
            images[figure.name], svg = both_formats(figure.figure, dpi)
            (building / "figures" / f"{figure.name}.png").write_bytes(images[figure.name])
            (building / "figures" / f"{figure.name}.svg").write_bytes(svg)
        for table in tables:
            table.table.to_csv(building / f"{table.name}.csv", index=False)
        plain = plain_values(metrics)
        _write_json(building / "metrics.json", plain)
        if provenance is not None:
            _write_json(building / "provenance.json", plain_values(provenance))
        page = render_page(
            title=title,
            lead=lead,
            summary=summary,
            warnings=warnings,
            sections=prepare_sections(sections, images, dpi),
            provenance=list(flatten(plain_values(provenance or {}))),
            numbers=list(flatten(plain)),
        )
        (building / "report.html").write_text(page, encoding="utf-8")
        for name, write in (files or {}).items():
            write(building / name)
        written = sorted(file.relative_to(building).as_posix() for file in building.rglob("*") if not file.is_dir())
        _write_json(building / _LISTING, {"kind": kind, "files": written})
        swap_in(building, directory)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def check_replaceable(directory: Path, kind: str | None = None) -> None:
    """Refuse a folder that a report would not replace, so that long work can ask before it begins.

    Parameters
    ----------
    directory
        Where the report is to be.
    kind
        ``kind`` of its provenance; a report of another kind is never replaced.

    Raises
    ------
    InputError
        It is a file, lies below one, is a report of another kind, or holds anything that no report wrote.
    """
    above = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    if not above.is_dir():
        raise InputError(f"{above} is a file: give a folder for the report")
    if above != directory:
        return
    present = {file.relative_to(directory).as_posix() for file in directory.rglob("*") if not file.is_dir()}
    if not present:
        return
    if not present.issuperset(_OWN_FILES):
        raise InputError(f"{directory} holds other files than a report: give an empty or a new folder")
    former_kind, written = _read_listing(directory, present)
    if kind and former_kind and kind != former_kind:
        raise InputError(f"{directory} is a report of another kind ({former_kind}): give a folder of its own")
    foreign = sorted(present - written)
    if foreign:
        raise InputError(f"{directory} holds {foreign[0]}, which no report wrote: move it away, or give another folder")


def _read_listing(directory: Path, present: set[str]) -> tuple[str | None, set[str]]:
    """Read the kind of a report and the files that were written with it; of an older one, those it is known to have."""
    try:
        listing = json.loads((directory / _LISTING).read_text(encoding="utf-8"))
        return listing["kind"], {_LISTING, *listing["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None, {_LISTING, *filter(_OLDER.fullmatch, present)}


def _check_names(names: Sequence[str], kind: str) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise InputError(f"{kind} name {name!r} cannot be a file name: use letters, digits, - and _")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two {kind}s are called {twice[0]!r}: give each its own name")
