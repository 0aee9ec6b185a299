"""Figures of condition fidelity: every metric between its floor and its ceiling, and gene by gene."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from g2m_eval.errors import InputError
from g2m_eval.figures.style import GENERATED, GRID, INK, MUTED, REAL, SHUFFLED, drawing, styled
from g2m_eval.intervals import Interval

NAMES = {
    "retrieval": "spot found from its image\n(share in the top 5)",
    "region_accuracy": "right region\n(balanced accuracy)",
    "nuclei_count": "number of nuclei\n(Spearman’s ρ)",
    "nuclei_size": "size of nuclei\n(Spearman’s ρ)",
    "transcriptome": "expression read from image\n(mean Pearson’s r)",
}
"""Of metrics, as figures and tables show them."""
_KINDS = (("shuffled", "shuffled expression (floor)", SHUFFLED, "s"), ("generated", "generated", GENERATED, "o"),
          ("real", "real patches (ceiling)", REAL, "D"))  # fmt: skip


def figure_fidelity(scores: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """A rung for each metric: floor, generated and ceiling with their 95 % intervals, on one scale.

    Parameters
    ----------
    scores
        By metric and kind ("real", "generated", "shuffled").
    """
    if not scores:
        raise InputError("a figure of fidelity needs at least one metric")
    with drawing():
        figure = styled(6.8, 0.62 * len(scores) + 1.0)
        axes = figure.subplots()
        y = np.arange(len(scores))[::-1]
        for place, found in zip(y, scores.values(), strict=True):
            ends = [found["shuffled"].value, found["real"].value]
            axes.plot(ends, [place, place], color=GRID, linewidth=6, solid_capstyle="round", zorder=1)
        for kind, label, colour, marker in _KINDS:
            values = np.array([found[kind].value for found in scores.values()])
            low = np.array([found[kind].low for found in scores.values()])
            high = np.array([found[kind].high for found in scores.values()])
            axes.hlines(y, low, high, color=colour, linewidth=2.2, zorder=2)
            axes.vlines(np.concatenate([low, high]), np.tile(y, 2) - 0.12, np.tile(y, 2) + 0.12, color=colour, zorder=2)
            axes.plot(values, y, marker, color=colour, markersize=6.5, markeredgecolor="white", label=label, zorder=3)
            for place, value in zip(y, values, strict=True):
                if np.isfinite(value):
                    text = f"{value:.2f}" if abs(value) >= 0.005 else "0.00"
                    above = 9 if kind != "generated" else -16  # a good generator's lies close to the ceiling's
                    axes.annotate(text, (value, place), (0, above), textcoords="offset points", ha="center",
                                  fontsize=7.5, color=colour)  # fmt: skip
        axes.set_yticks(y, [NAMES.get(name, name.replace("_", " ")) for name in scores])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(scores) - 0.35)
        lowest = min((found[kind].low for found in scores.values() for kind, *_ in _KINDS), default=0)
        axes.set_xlim(min(-0.08, (lowest if np.isfinite(lowest) else 0) - 0.03), 1.06)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("agreement of an image with its own spot (95 % interval)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def figure_genes(genes: pd.DataFrame, *, named: int = 8) -> Figure:
    """Each gene's correlation when read from generated patches against that when read from real ones.

    Parameters
    ----------
    genes
        Columns gene, real, generated, shuffled (`g2m_eval.fidelity.transcriptome`).
    named
        Genes to name: those that generated patches lose most of.
    """
    known = genes.dropna(subset=["real", "generated", "shuffled"])
    with drawing():
        figure = styled(4.6, 4.4)
        axes = figure.subplots()
        for kind, label, colour in (
            ("shuffled", "shuffled expression", SHUFFLED),
            ("generated", "generated", GENERATED),
        ):
            axes.scatter(known["real"], known[kind], s=9, color=colour, alpha=0.55, linewidths=0, label=label)
        drawn = known[["real", "generated", "shuffled"]].to_numpy(dtype=float)
        low, high = (float(drawn.min()), float(drawn.max())) if len(known) else (0.0, 1.0)
        low, high = min(low, 0.0) - 0.05, high + 0.05
        axes.plot([low, high], [low, high], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate("as in real patches", (low, low), (8, 16), textcoords="offset points", rotation=45,
                      rotation_mode="anchor", fontsize=7.5, color=MUTED)  # fmt: skip
        lost = known.assign(lost=known["real"] - known["generated"]).nlargest(named, "lost")
        taken: list[float] = []
        for _, row in lost.sort_values("generated").iterrows():
            height = max([float(row["generated"]), *[place + 0.045 * (high - low) for place in taken[-1:]]])
            taken.append(height)
            axes.annotate(
                str(row["gene"]), (row["real"], row["generated"]), (high + 0.02 * (high - low), height),
                va="center", fontsize=7.5, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5},
            )  # fmt: skip
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        axes.grid()
        axes.set_xlabel("Pearson’s r, read from real patches")
        axes.set_ylabel("Pearson’s r, read from generated patches")
        legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, markerscale=2)
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1)
    return figure
