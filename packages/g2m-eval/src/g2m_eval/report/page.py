"""A report: one self-contained page, the figures beside it, and every number in ``metrics.json``."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from g2m_eval.errors import InputError
from g2m_eval.figures.style import png_bytes

_OWN_FILES = ("report.html", "metrics.json")


@dataclass(frozen=True, kw_only=True)
class SummaryTile:
    """One of the few numbers on top: what it is, its value as text, and what to compare it with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """A figure; ``name`` (letters, digits, - and _) becomes its file, ``caption`` says what was compared with what."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A table; its caption says what was compared, with which extractor, on how many images.

    One with a ``name`` (letters, digits, - and _) is also written as that file, ``.csv``.
    """

    table: pd.DataFrame
    caption: str
    name: str = ""


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
    dpi: int = 160,
) -> None:
    """Write ``report.html``, ``metrics.json``, ``figures/*.png`` and named tables; an older report is replaced at once.

    Parameters
    ----------
    directory
        Must not exist, be empty, or hold an earlier report.
    metrics
        Nested mapping of numbers and text; numpy values become plain ones, NaN and infinity ``null``.
    sections
        Chapters in order. Paragraphs of their text are separated by empty lines. All text is escaped.
    summary, warnings, lead
        Tiles on top; sentences of "What to make of this"; a line below the title.
    provenance
        Settings, versions, ids of parent artefacts.

    Raises
    ------
    InputError
        The directory holds something else, or two figures or tables share a name.
    """
    directory = Path(directory)
    _check_replaceable(directory)
    figures = [figure for section in sections for figure in section.figures]
    tables = [table for section in sections for table in section.tables if table.name]
    _check_names([figure.name for figure in figures], "figure")
    _check_names([table.name for table in tables], "table")
    directory.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        images = {figure.name: png_bytes(figure.figure, dpi) for figure in figures}
        (building / "figures").mkdir()
        for name, image in images.items():
            (building / "figures" / f"{name}.png").write_bytes(image)
        for table in tables:
            table.table.to_csv(building / f"{table.name}.csv", index=False)
        plain = plain_values(metrics)
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
        (building / "metrics.json").write_text(text + "\n", encoding="utf-8")
        page = _environment().get_template("report.html.j2").render(
            title=title,
            lead=lead,
            summary=summary,
            warnings=warnings,
            sections=[_prepare_section(section, images, dpi) for section in sections],
            provenance=[(key, _cell(value)) for key, value in _flatten(plain_values(provenance or {}))],
            numbers=[(key, _cell(value)) for key, value in _flatten(plain)],
        )  # fmt: skip
        (building / "report.html").write_text(page, encoding="utf-8")
        building.chmod(0o755)
        _swap_in(building, directory)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def plain_values(value: Any) -> Any:
    """Nested values as JSON knows them: numpy scalars and arrays become plain, NaN and infinity None, paths text."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_values(item) for item in value]
    if isinstance(value, np.generic):
        return plain_values(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("g2m_eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _prepare_section(section: ReportSection, images: Mapping[str, bytes], dpi: int) -> dict[str, Any]:
    return {
        "title": section.title,
        "anchor": re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section",
        "paragraphs": [part.strip() for part in section.text.split("\n\n") if part.strip()],
        "figures": [
            {
                "base64": base64.b64encode(images[figure.name]).decode("ascii"),
                "caption": figure.caption,
                "alt": figure.name.replace("-", " ").replace("_", " "),
                # half the pixels: sharp on dense screens, and the page does not jump while it loads
                "width": round(figure.figure.get_figwidth() * dpi * 0.6),
                "height": round(figure.figure.get_figheight() * dpi * 0.6),
            }
            for figure in section.figures
        ],
        "tables": [_prepare_table(table) for table in section.tables],
    }


def _prepare_table(table: ReportTable) -> dict[str, Any]:
    data = table.table
    numeric = [pd.api.types.is_numeric_dtype(data[column]) for column in data.columns]
    return {
        "caption": table.caption,
        "columns": [{"name": str(c), "number": n} for c, n in zip(data.columns, numeric, strict=True)],
        "rows": [[_cell(plain_values(value)) for value in row] for row in data.itertuples(index=False, name=None)],
    }


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        size = abs(value)
        if value == 0 or 1e-3 <= size < 1e4:
            return f"{value:.3f}" if size < 10 else f"{value:.1f}"
        return f"{value:.2g}" if size < 1 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_replaceable(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise InputError(f"{directory} is a file: give a folder for the report")
    present = {entry.name for entry in directory.iterdir()}
    if present and not present.issuperset(_OWN_FILES):
        raise InputError(f"{directory} holds other files than a report: give an empty or a new folder")


def _check_names(names: Sequence[str], kind: str) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise InputError(f"{kind} name {name!r} cannot be a file name: use letters, digits, - and _")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two {kind}s are called {twice[0]!r}: give each its own name")


def _swap_in(building: Path, directory: Path) -> None:
    """Put the finished report in place; an older one is moved aside first, so that no mixture is ever visible."""
    if not directory.exists():
        building.rename(directory)
        return
    old = Path(mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
    directory.rename(old / directory.name)
    building.rename(directory)
    shutil.rmtree(old)
