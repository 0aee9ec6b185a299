"""Figures of memorisation: distances to the nearest training patch, and the closest pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from g2m_eval.errors import InputError
from g2m_eval.figures.style import CATEGORIES, GENERATED, INK, MUTED, REAL, bare, drawing, styled
from g2m_eval.memorisation import ClosestPairs

_COLOURS = {"generated": GENERATED, "held-out": REAL, "test": CATEGORIES[2]}
_LABELS = {
    "generated": "generated",
    "held-out": "held-out tissue of the training slide",
    "test": "real patches of test sections",
}


def figure_nearest(distances: Mapping[str, Float[np.ndarray, " _"]], threshold: float) -> Figure:
    """Share of patches whose nearest training patch is closer than each distance, a curve for each kind of patch.

    Parameters
    ----------
    distances
        By kind: "generated", "held-out", "test".
    threshold
        Distance below which 5 % of held-out patches lie.
    """
    with drawing():
        figure = styled(5.6, 3.4)
        axes = figure.subplots()
        for kind, values in distances.items():
            ordered = np.sort(values)
            share = np.arange(1, len(ordered) + 1) / len(ordered)
            style = "--" if kind == "test" else "-"
            axes.step(ordered, share, where="post", color=_COLOURS[kind], linewidth=1.8, linestyle=style,
                      label=f"{_LABELS[kind]} ({len(ordered)})")  # fmt: skip
        axes.axvline(threshold, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate("5 % of held-out", (threshold, 1.0), (-4, 0), textcoords="offset points", ha="right", va="top",
                      fontsize=7.5, color=MUTED)  # fmt: skip
        axes.set_ylim(0, 1.02)
        axes.set_xlim(left=0)
        axes.grid()
        axes.set_xlabel("distance to the nearest training patch (standardised features)")
        axes.set_ylabel("share of patches closer")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=1)
    return figure


def figure_closest(pairs: Mapping[str, ClosestPairs]) -> Figure:
    """The closest pairs: each patch above its nearest training patch, most suspicious first, a block for each kind."""
    if not pairs:
        raise InputError("a figure of closest pairs needs at least one kind of patches")
    columns = max(len(found.distance) for found in pairs.values())
    with drawing():
        cell = 1.05
        figure = styled(1.75 + cell * columns, (2 * cell + 0.5) * len(pairs))
        figure.set_layout_engine("none")
        width, height = figure.get_size_inches()
        for block, (kind, found) in enumerate(pairs.items()):
            top = 1 - (block * (2 * cell + 0.5) + 0.12) / height
            grid = GridSpec(
                2, columns, figure=figure, left=1.65 / width, right=1 - 0.1 / width, top=top,
                bottom=top - (2 * cell) / height, wspace=0.06, hspace=0.06,
            )  # fmt: skip
            for row, (images, label, colour) in enumerate(
                (
                    (found.patches, _LABELS[kind].replace(" of the", "\nof the"), _COLOURS[kind]),
                    (found.neighbours, "nearest\ntraining patch", INK),
                )
            ):
                for column, image in enumerate(images):
                    axes = figure.add_subplot(grid[row, column])
                    bare(axes)
                    axes.imshow(image, interpolation="nearest")
                    if column == 0:
                        axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6, color=colour)
                    if row == 1:
                        note = f"{found.distance[column]:.2f} | {found.difference[column]:.0f}"
                        axes.set_xlabel(note, fontsize=7.5, labelpad=3)
    return figure
