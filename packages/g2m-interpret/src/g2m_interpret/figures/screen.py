"""Figures of screens."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from g2m_interpret.errors import InputError
from g2m_interpret.figures.style import DOWN, MUTED, RANDOM, UP, drawing, styled


def figure_screen(
    table: pd.DataFrame, statistic: str, *, most: int = 20, known: Collection[str] = (), known_as: str = "known"
) -> Figure:
    """Predicted against verified change, and the strongest that were verified with their intervals.

    Parameters
    ----------
    table
        Of `screen_table`.
    most
        Bars at most.
    known
        Genes or sets to mark, such as those that are known to drive the statistic.

    Raises
    ------
    InputError
        Nothing was verified.
    """
    name = str(table.columns[0])
    verified = table[table["change"].notna()]
    screened, random = verified[verified["screened"]], verified[~verified["screened"]]
    if screened.empty:
        raise InputError("nothing of this screen is verified yet")
    strongest = screened.reindex(screened["change"].abs().sort_values(ascending=False, kind="stable").index).head(most)
    with drawing():
        figure = styled(7.6, max(3.4, 0.9 + 0.19 * len(strongest)))
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.05])
        marked = screened[name].isin(list(known))
        for part, colour, label in (
            (random, RANDOM, "random, expressed alike"),
            (screened[~marked], DOWN, "screened"),
            (screened[marked], UP, known_as),
        ):
            if len(part):
                spread = np.abs(part[["low", "high"]].to_numpy(float).T - part["change"].to_numpy(float))
                left.errorbar(
                    part["predicted"], part["change"], yerr=spread, fmt="o", color=colour, markersize=3,
                    elinewidth=0.6, alpha=0.8, label=f"{label} ({len(part)})",
                )  # fmt: skip
        left.axhline(0, color=MUTED, linewidth=0.6)
        left.axvline(0, color=MUTED, linewidth=0.6)
        ends = np.array([verified["predicted"].min(), verified["predicted"].max()])
        left.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=":", label="as predicted")
        left.set_xlabel("predicted by the gradient")
        left.set_ylabel("verified by redrawing")
        left.set_title("Change of " + statistic.replace("_", " "))
        left.locator_params(nbins=5)
        left.ticklabel_format(scilimits=(-3, 4))
        figure.legend(*left.get_legend_handles_labels(), fontsize=7.5, loc="outside lower center", ncols=4)
        place = np.arange(len(strongest))
        change = strongest["change"].to_numpy(float)
        spread = np.abs(strongest[["low", "high"]].to_numpy(float).T - change)
        colours = np.where(strongest[name].isin(list(known)), UP, DOWN)
        right.barh(place, change, color=colours, height=0.72)
        right.errorbar(change, place, xerr=spread, fmt="none", ecolor=MUTED, elinewidth=0.9)
        right.set_yticks(place, [_shortened(str(label)) for label in strongest[name]])
        right.invert_yaxis()
        right.axvline(0, color=MUTED, linewidth=0.8)
        right.tick_params(axis="y", length=0)
        right.grid(axis="x")
        right.locator_params(axis="x", nbins=5)
        right.ticklabel_format(axis="x", scilimits=(-3, 4))
        right.set_title(f"Strongest of {len(screened)} verified")
        right.set_xlabel("change, 95 % interval")
    return figure


def figure_image_genes(
    table: pd.DataFrame, *, genes: int = 12, known: Collection[tuple[str, str]] = (), known_as: str = "known"
) -> Figure:
    """The genes that move each image statistic most, a panel a statistic.

    Parameters
    ----------
    table
        Columns statistic, gene, change (when counts double) and standard_error.
    known
        (statistic, gene) to mark.
    """
    statistics = list(dict.fromkeys(table["statistic"]))
    columns = min(4, len(statistics))
    rows = -(-len(statistics) // columns)
    with drawing():
        figure = styled(2.15 * columns + 0.2, rows * (0.75 + 0.18 * genes))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels[len(statistics) :]:
            axes.set_visible(False)
        for axes, statistic in zip(panels, statistics, strict=False):
            own = table[table["statistic"] == statistic]
            shown = own.reindex(own["change"].abs().sort_values(ascending=False, kind="stable").index).head(genes)
            change, place = shown["change"].to_numpy(float), np.arange(len(shown))
            marked = [(statistic, gene) in known for gene in shown["gene"]]
            axes.barh(place, change, color=np.where(marked, UP, DOWN), height=0.75)
            axes.errorbar(
                change, place, xerr=shown["standard_error"], fmt="none", ecolor=MUTED, elinewidth=0.8
            )  # fmt: skip
            axes.axvline(0, color=MUTED, linewidth=0.8)
            axes.set_yticks(place, shown["gene"])
            axes.set_ylim(genes - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
            axes.ticklabel_format(axis="x", scilimits=(-3, 4))
            axes.locator_params(axis="x", nbins=3)
            axes.set_title(statistic.replace("_", " "), fontsize=9)
        marks = f"; orange: {known_as}" if known else ""
        figure.supxlabel(
            f"predicted change when a gene's counts double, ± standard error over spots{marks}", fontsize=8.5
        )
    return figure


def _shortened(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"
