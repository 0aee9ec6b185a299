"""Figures of perturbations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from g2m_interpret.errors import InputError
from g2m_interpret.figures.style import DOWN, MUTED, RANDOM, UP, bare, drawing, styled
from g2m_interpret.perturbation.dose import DoseResponse


def difference_map(
    before: UInt8[np.ndarray, "... height width 3"], after: UInt8[np.ndarray, "... height width 3"]
) -> Float[np.ndarray, "... height width"]:
    """Change of lightness (mean of RGB), in [-1, 1]: negative where the edited image is darker."""
    return np.asarray((after.astype(np.float64) - before.astype(np.float64)).mean(axis=-1) / 255)


def figure_perturbation(
    real: UInt8[np.ndarray, "spot height width 3"],
    unperturbed: UInt8[np.ndarray, "spot h w 3"],
    perturbed: UInt8[np.ndarray, "spot edit h w 3"],
    spots: Sequence[str],
    edits: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """A row for each spot: the real patch, the generated one, each edit from the same noise, what the last one changed.

    Raises
    ------
    InputError
        Numbers of spots or edits differ.
    """
    if not len(real) == len(unperturbed) == len(perturbed) == len(spots) or perturbed.shape[1] != len(edits):
        raise InputError(
            f"each spot needs a real patch, a generated one and a label, each edit a label: {len(real)}, "
            f"{len(unperturbed)}, {len(perturbed)}, {len(spots)}; {perturbed.shape[1]}, {len(edits)}"
        )
    change = difference_map(unperturbed, perturbed[:, -1])
    limit = max(float(np.quantile(np.abs(change), 0.995)), 1e-3)
    columns = ["real", "unperturbed", *edits, f"change, {edits[-1]}"]
    with drawing():
        figure = styled(1.1 + 1.05 * len(columns) + 0.6, 0.55 + 1.1 * len(real))
        grid = figure.subplots(len(real), len(columns), squeeze=False)
        for row, spot in enumerate(spots):
            pictures = [real[row], unperturbed[row], *perturbed[row]]
            for axes, picture in zip(grid[row], pictures, strict=False):
                axes.imshow(picture, interpolation="nearest")
            shade = grid[row, -1].imshow(change[row], cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
            for axes in grid[row]:
                bare(axes)
            grid[row, 0].set_ylabel(spot, fontsize=8, rotation=0, ha="right", va="center")
        for axes, name in zip(grid[0], columns, strict=True):
            axes.set_title(name, fontsize=8, fontweight="normal", loc="center")
        bar = figure.colorbar(shade, ax=grid[:, -1].tolist(), fraction=0.08, pad=0.04)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("darker   lighter", fontsize=7.5)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=9.5)
    return figure


def figure_doses(responses: Sequence[tuple[str, str, DoseResponse]]) -> Figure:
    """Dose curves with 95 % intervals, and behind each what random sets change between the lowest and highest dose.

    Parameters
    ----------
    responses
        (name of the gene set, statistic to draw, response).
    """
    columns = min(3, max(len(responses), 1))
    rows = -(-len(responses) // columns)
    with drawing():
        figure = styled(2.75 * columns, 2.35 * max(rows, 1))
        panels = figure.subplots(max(rows, 1), columns, squeeze=False).ravel()
        for axes in panels[len(responses) :]:
            axes.set_visible(False)
        for axes, (name, statistic, response) in zip(panels, responses, strict=False):
            curve: pd.DataFrame = response.curve[response.curve["statistic"] == statistic]
            summary = dict(zip(response.summary.columns, response.summary.loc[statistic].to_numpy(float), strict=True))
            dose = curve["dose"].to_numpy(dtype=float)
            mean, low, high = (curve[key].to_numpy(dtype=float) for key in ("mean", "low", "high"))
            colour = UP if summary["change"] >= 0 else DOWN
            axes.fill_between(dose, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(dose, mean, color=colour, marker="o", markersize=3.5, linewidth=1.5)
            random = response.random[:, list(response.summary.index).index(statistic)]
            middle = float(np.interp(0.0, np.log2(dose), mean))
            for change in random:
                axes.plot(dose[[0, -1]], middle + np.array([-0.5, 0.5]) * change, color=RANDOM, linewidth=0.7, zorder=1)
            axes.set_xscale("log", base=2)
            axes.set_xticks(dose[[0, len(dose) // 2, -1]], [f"{dose[i]:g}" for i in (0, len(dose) // 2, -1)])
            axes.minorticks_off()
            axes.grid(axis="y")
            axes.set_title(name.replace("_", " "))
            axes.set_ylabel(statistic.replace("_", " "), fontsize=8)
            axes.text(
                0.03, 0.97,
                f"ρ {summary['spearman']:.2f}\n" + _beyond(summary["beyond_random"], len(random)),
                transform=axes.transAxes, va="top", fontsize=7.5, color=MUTED,
            )  # fmt: skip
            axes.margins(y=0.25)
        figure.supxlabel("counts of the set, fold of the measured (grey: random sets expressed alike)", fontsize=8.5)
    return figure


def _beyond(share: float, sets: int) -> str:
    return f"beyond {share:.0%} of {sets} random sets" if sets else "no random sets"
