"""Figures of stain: where generated patches lie between their sections and the training slide."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from skimage.color import lab2rgb

from g2m_eval.figures.style import GENERATED, INK, MUTED, REAL, drawing, styled


def figure_stain(lab: pd.DataFrame) -> Figure:
    """Mean tissue colour in CIELAB: arrows from test sections to what was generated for them, and the training slide.

    Points have the colour that they stand for.

    Parameters
    ----------
    lab
        Columns set ("training", "test", "generated"), section, L, a, b (`g2m_eval.stain.StainEvaluation.lab`).
    """
    with drawing():
        figure = styled(7.0, 3.5)
        panels = figure.subplots(1, 2)
        train = lab[lab["set"] == "training"].iloc[0]
        for axes, y, y_name in zip(panels, ("b", "L"), ("b* (blue to yellow)", "L* (lightness)"), strict=True):
            x = "a"
            for section, rows in lab[lab["set"] != "training"].groupby("section", sort=False):
                real, generated = (rows[rows["set"] == kind].iloc[0] for kind in ("test", "generated"))
                axes.annotate(
                    "", (generated[x], generated[y]), (real[x], real[y]),
                    arrowprops={"arrowstyle": "->", "color": MUTED, "shrinkA": 5, "shrinkB": 5},
                )  # fmt: skip
                for row, marker, edge in ((real, "o", REAL), (generated, "s", GENERATED)):
                    axes.scatter(
                        row[x], row[y], s=70, marker=marker, color=[_shown(row)], edgecolors=edge, linewidths=1.6
                    )
                at = real if y == "b" else generated
                axes.annotate(str(section), (at[x], at[y]), (6, 7), textcoords="offset points", fontsize=7.5)
            axes.scatter(train[x], train[y], s=150, marker="*", color=[_shown(train)], edgecolors=INK, linewidths=1.2)
            axes.set_xlabel("a* (green to red)")
            axes.set_ylabel(y_name)
            axes.margins(0.18)
            axes.set_aspect("equal", adjustable="datalim")
            axes.grid()
        for marker, edge, label in (
            ("o", REAL, "test section, real"),
            ("s", GENERATED, "generated for its spots"),
            ("*", INK, "training slide, real"),
        ):
            panels[0].scatter([], [], s=60, marker=marker, color="white", edgecolors=edge, linewidths=1.4, label=label)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _shown(row: pd.Series) -> np.ndarray:
    rgb = lab2rgb(row[["L", "a", "b"]].to_numpy(dtype=float)[None, None])[0, 0]
    return np.asarray(np.clip(rgb, 0, 1))
