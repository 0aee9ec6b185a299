"""A report's chapters as its template takes them: text, numbered figures as data addresses, tables as text."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

if TYPE_CHECKING:
    from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable

LARGEST_PNG = 200_000
"""Bytes above which a figure enters the page as WebP."""
_WEBP_QUALITY = 90
_SCREEN = 0.6
"""Screen pixels for each pixel of a figure: sharp on dense screens, readable on others."""


def render_page(**content: Any) -> str:
    """Fill the template; all text is escaped."""
    environment = Environment(
        loader=PackageLoader("g2m_eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["told"] = _told
    return environment.get_template("report.html.j2").render(**content)


def prepare_sections(sections: Sequence[ReportSection], images: Mapping[str, bytes], dpi: int) -> list[dict[str, Any]]:
    """Number the figures through the page, give each chapter an address of its own, and turn all into text.

    Parameters
    ----------
    images
        PNG of each figure by name, drawn at ``dpi``.
    """
    counted = 0
    prepared = []
    for place, section in enumerate(sections, 1):
        figures = []
        for figure in section.figures:
            counted += 1
            figures.append(_prepare_figure(figure, figure.number or f"Figure {counted}", images[figure.name], dpi))
        prepared.append(
            {
                "title": section.title,
                "anchor": f"{place}-{_slug(section.title)}",
                "paragraphs": [part.strip() for part in section.text.split("\n\n") if part.strip()],
                "figures": figures,
                "tables": [_prepare_table(table) for table in section.tables],
            }
        )
    return prepared


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give each plain value of nested mappings, and of lists of them, as text under its dotted key."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from flatten({str(place): item for place, item in enumerate(value)}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _cell(value)


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
    if value is None or value is pd.NA:
        return None
    if isinstance(value, (bool, int, str)):
        return value
    return str(value)


def data_address(png: bytes) -> str:
    """Give an image as an address that needs no file.

    Photographs of tissue make a PNG four times as large as a WebP that the eye does not tell apart; a report of twenty
    figures stays a file that can be sent. The lossless PNG lies in ``figures/``.
    """
    kind, content = "png", png
    if len(png) > LARGEST_PNG:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "WEBP", quality=_WEBP_QUALITY)
        kind, content = "webp", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _told(text: str) -> Markup:
    """Escape text, and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _prepare_figure(figure: ReportFigure, number: str, png: bytes, dpi: int) -> dict[str, Any]:
    return {
        "address": data_address(png),
        "name": figure.name,
        "number": number,
        "anchor": _slug(number),
        "caption": figure.caption,
        "alt": figure.alt or f"{number}. {_first_sentence(figure.caption)}",
        # the size is told so that the page does not jump while it loads
        "width": round(figure.figure.get_figwidth() * dpi * _SCREEN),
        "height": round(figure.figure.get_figheight() * dpi * _SCREEN),
    }


def _prepare_table(table: ReportTable) -> dict[str, Any]:
    data = table.table
    numeric = [pd.api.types.is_numeric_dtype(data[column]) for column in data.columns]
    return {
        "caption": table.caption,
        "name": table.name,
        "number": table.number,
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


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ])", text.strip(), maxsplit=1)[0]
