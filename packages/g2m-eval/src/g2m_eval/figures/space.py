"""Figures of the embedding space: the paper's Figures 3, D.1 and E.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from g2m_eval.errors import InputError
from g2m_eval.figures.style import CATEGORIES, GENERATED, MUTED, REAL, bare, colour_of, drawing, styled

UNNAMED = ("#b9bfc9", "#8f97a3", "#6b7480", "#d9dde3", "#4a515c")
"""Of clusters that no marker names, so that they are not taken for regions."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Points of one panel.

    Attributes
    ----------
    title
        What is shown, and how it is coloured; line breaks are kept.
    xy
        UMAP coordinates.
    labels
        One a point.
    order
        Labels in the order of the legend.
    """

    title: str
    xy: Float[np.ndarray, "point 2"]
    labels: Sequence[str]
    order: Sequence[str]


def colours_of_clusters(order: Sequence[str]) -> dict[str, str]:
    """A colour for each named cluster, greys for unnamed ones; colours for all where none is named."""
    named = [name for name in order if not name.startswith("unnamed")]
    if not named:
        return colour_of(order)
    greys = [name for name in order if name.startswith("unnamed")]
    return {**colour_of(named), **{name: UNNAMED[place % len(UNNAMED)] for place, name in enumerate(greys)}}


def colours_of_samples(samples: Sequence[str]) -> dict[str, str]:
    """A colour for each section, of another order than the clusters' so that the two are not mistaken."""
    return {name: CATEGORIES[(5 + place) % len(CATEGORIES)] for place, name in enumerate(samples)}


def figure_layouts(
    layouts: Sequence[Layout], colours: Sequence[Mapping[str, str]], *, columns: int = 3, seed: int = 0
) -> Figure:
    """UMAPs side by side, each with its own legend below (Figures 3 a-c, and E.1).

    Parameters
    ----------
    layouts
        Panels in order.
    colours
        For each panel, by label.
    columns
        Panels a row.
    seed
        Of the order in which points are drawn: at random, so that none lies on top for being last in the table.

    Raises
    ------
    InputError
        There is no panel, or one has points and labels in different numbers.
    """
    if not layouts or len(layouts) != len(colours):
        raise InputError(f"layouts need a panel and colours for each, got {len(layouts)} and {len(colours)}")
    across = min(columns, len(layouts))
    down = int(np.ceil(len(layouts) / across))
    with drawing():
        figure = styled(3.1 * across + 0.2, 3.5 * down)
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, layout, palette in zip(panels, layouts, colours, strict=False):
            _scatter(axes, layout, palette, seed)
            _legend(axes, [name for name in layout.order if name in set(layout.labels)], palette)
        for axes in panels[len(layouts) :]:
            axes.set_axis_off()
    return figure


def figure_mixing(layouts: Sequence[Layout], *, seed: int = 0) -> Figure:
    """Real and generated patches in one UMAP a network (Figure D.1); labels are "real" and "generated"."""
    palette = {"real": REAL, "generated": GENERATED}
    return figure_layouts(layouts, [palette] * len(layouts), columns=2, seed=seed)


def _scatter(axes: Axes, layout: Layout, palette: Mapping[str, str], seed: int) -> None:
    if len(layout.xy) != len(layout.labels):
        raise InputError(f"{layout.title!r} has {len(layout.xy)} points and {len(layout.labels)} labels")
    order = np.random.default_rng(seed).permutation(len(layout.xy))
    colours = np.asarray([palette.get(label, MUTED) for label in layout.labels])
    size = float(np.clip(9000 / max(len(order), 1), 1.0, 12.0))
    # as pixels, also in an SVG: thousands of circles would make it slow to open
    axes.scatter(
        layout.xy[order, 0], layout.xy[order, 1], c=colours[order], s=size, linewidths=0, alpha=0.8, rasterized=True
    )
    axes.set_title(layout.title)
    axes.set_aspect("equal", adjustable="datalim")
    bare(axes)


def _legend(axes: Axes, names: Sequence[str], palette: Mapping[str, str]) -> None:
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=5, color=palette.get(name, MUTED), label=name)
        for name in names
    ]
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(3, max(len(names), 1)),
        handletextpad=0.1, columnspacing=0.9,
    )  # fmt: skip
