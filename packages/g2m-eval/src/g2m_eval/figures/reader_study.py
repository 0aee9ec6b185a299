"""Figures of a reader study: how well each reader did, and which images were hard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from g2m_eval.errors import InputError
from g2m_eval.figures.style import GENERATED, INK, MUTED, REAL, bare, drawing, styled
from g2m_eval.intervals import Interval


def figure_readers(readers: pd.DataFrame, mean: Interval, *, published: tuple[float, float] | None = None) -> Figure:
    """Accuracy of each reader with its exact interval, their mean, and the line of guessing.

    Parameters
    ----------
    readers
        Columns reader, accuracy, low, high.
    mean
        Of the readers' accuracies.
    published
        Mean and SD over the readers of another study, drawn below.
    """
    ordered = readers.sort_values(["accuracy", "reader"], ascending=[False, True])
    rows = len(ordered) + 1 + (published is not None)
    with drawing():
        figure = styled(6.4, 0.27 * rows + 0.95)
        axes = figure.subplots()
        y = np.arange(len(ordered))
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.hlines(y, ordered["low"], ordered["high"], color=INK, linewidth=1.4)
        axes.plot(ordered["accuracy"], y, "o", color=INK, markersize=5)
        at = len(ordered) + 0.35
        axes.hlines(at, mean.low, mean.high, color=REAL, linewidth=2.6)
        axes.plot(mean.value, at, "D", color=REAL, markersize=7)
        names, places = [*ordered["reader"].str.replace("-", " "), "mean"], [*y, at]
        if published is not None:
            at += 1
            value, sd = published
            axes.hlines(at, value - sd, value + sd, color=MUTED, linewidth=2.6, linestyle=(0, (1, 1)))
            axes.plot(value, at, "D", color="white", markeredgecolor=MUTED, markeredgewidth=1.5, markersize=7)
            names, places = [*names, "published (± SD)"], [*places, at]
        axes.set_yticks(places, names)
        axes.set_ylim(at + 0.6, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x")
        axes.set_xlabel("images told correctly; dashed: guessing")
    return figure


def figure_difficulty(
    images: pd.DataFrame, pictures: Mapping[str, UInt8[np.ndarray, "height width 3"]], *, columns: int = 8
) -> Figure:
    """Show the images that most readers took for what they are not, and those that nobody did, with their truth.

    Parameters
    ----------
    images
        Columns image, truth, answers, correct, hardest first.
    pictures
        RGB of each image.
    columns
        Images in a row; there are two rows of each.

    Raises
    ------
    InputError
        There is no image.
    """
    judged = images[images["answers"] > 0]
    if judged.empty:
        raise InputError("a figure of difficult images needs at least one image with answers")
    shown = min(2 * columns, -(-len(judged) // 2))
    columns = min(columns, shown)
    blocks = {"hardest": judged.head(shown), "easiest": judged.iloc[shown:].tail(shown).iloc[::-1]}
    lines = -(-shown // columns)
    with drawing():
        figure = styled(0.98 * columns + 0.1, len(blocks) * (1.3 * lines + 0.33))
        parts = np.asarray(figure.subfigures(len(blocks), 1), dtype=object)
        for part, (title, block) in zip(parts, blocks.items(), strict=True):
            part.suptitle(title.capitalize(), fontsize=10, fontweight="bold", x=0.01, ha="left")
            panels = part.subplots(lines, columns, squeeze=False).ravel()
            for axes in panels:
                axes.set_axis_off()
            for axes, (_, row) in zip(panels, block.iterrows(), strict=False):
                colour = REAL if row["truth"] == "real" else GENERATED
                axes.set_axis_on()
                bare(axes)
                axes.imshow(pictures[row["image"]], interpolation="nearest")
                for spine in axes.spines.values():
                    spine.set(visible=True, color=colour, linewidth=2.2)
                axes.set_xlabel(
                    f"{row['truth']}\n{row['correct']} of {row['answers']} right", fontsize=7.5, color=colour
                )
    return figure
