"""One look for all figures, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.figure import Figure

INK = "#1f2733"
MUTED = "#6b7480"
GRID = "#e4e7ec"
REAL = "#3b6fb6"
GENERATED = "#d5672a"
SHUFFLED = "#9aa3ad"

# Okabe and Ito's set, told apart with any common colour blindness, its yellow darkened to show on white.
CATEGORIES = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#b8a800",
    "#595959",
    "#8c6bb1",
    "#a65628",
)

MOST_MARKERS = 500
"""Points of one scatter plot, or spots of one section, that an SVG keeps as shapes."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa3ad",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def styled(width: float, height: float) -> Figure:
    """Empty figure of the given inches, with a canvas that needs no display; call inside ``with drawing()``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def drawing() -> Iterator[None]:
    """Everything drawn inside has this package's look; matplotlib's own settings are put back after."""
    with rc_context(STYLE):
        yield


def colour_of(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label in the order given; colours repeat after ten."""
    return {label: CATEGORIES[i % len(CATEGORIES)] for i, label in enumerate(labels)}


def bare(axes: Axes) -> None:
    """Leave nothing but the image: no ticks, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def png_bytes(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def svg_bytes(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as an SVG that looks the same everywhere and stays small.

    Text is drawn as outlines: as text it would need this package's font on the reader's machine, and labels that were
    laid out in one font overlap in another. Images are embedded at ``dpi``, and more than ``MOST_MARKERS`` points or
    shapes of one kind as an image too, so that a file grows with the figure's area, not with the number of spots.
    """
    crowded = [artist for artist in figure.findobj(_is_crowded) if not artist.get_rasterized()]
    buffer = io.BytesIO()
    try:
        for artist in crowded:
            artist.set_rasterized(True)
        # a fixed salt and no date: the same figure, the same file
        with drawing(), rc_context({"svg.fonttype": "path", "svg.hashsalt": "g2m"}):
            figure.savefig(buffer, format="svg", dpi=dpi, metadata={"Date": None, "Creator": None})
    finally:
        for artist in crowded:
            artist.set_rasterized(False)
    return buffer.getvalue()


def both_formats(figure: Figure, dpi: int = 160) -> tuple[bytes, bytes]:
    """The figure as PNG and as SVG; places are found once, for both."""
    png, engine = png_bytes(figure, dpi), figure.get_layout_engine()
    figure.set_layout_engine("none")
    try:
        return png, svg_bytes(figure, dpi)
    finally:
        figure.set_layout_engine(engine)


def _is_crowded(artist: Artist) -> bool:
    if not isinstance(artist, Collection):
        return False
    return max(len(np.asarray(artist.get_offsets())), len(artist.get_paths())) > MOST_MARKERS


def save_figure(figure: Figure, path: Path, dpi: int = 160) -> None:
    """Write a PNG; the file appears complete or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(png_bytes(figure, dpi))
    partial.replace(path)
