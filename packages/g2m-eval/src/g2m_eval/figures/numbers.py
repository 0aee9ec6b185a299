"""Figures made of numbers: confusion, factors, distances, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from g2m_eval.errors import InputError
from g2m_eval.fidelity.regions import RegionScores
from g2m_eval.figures.style import CATEGORIES, GENERATED, INK, MUTED, REAL, SHUFFLED, colour_of, drawing, styled


def figure_confusion(scores: Mapping[str, RegionScores]) -> Figure:
    """Confusion matrices side by side, one an entry ("real", "generated"); rows are the truth and sum to 100 %."""
    if not scores:
        raise InputError("a confusion figure needs at least one set of scores")
    with drawing():
        largest = max(len(s.regions) for s in scores.values())
        size = max(2.6, 0.52 * largest + 1.4)
        figure = styled(size * len(scores) + 0.6, size + 0.75)
        panels = figure.subplots(1, len(scores), squeeze=False)[0]
        for axes, (title, score) in zip(panels, scores.items(), strict=True):
            totals = score.confusion.sum(axis=1, keepdims=True)
            share = np.divide(score.confusion, totals, out=np.zeros(score.confusion.shape), where=totals > 0)
            axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            for (row, column), value in np.ndenumerate(share):
                if totals[row, 0] > 0:
                    colour = "white" if value > 0.55 else (INK if value >= 0.005 else "#c3c9d1")
                    axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=8.5)
            names = [name.replace("_", " ") for name in score.regions]
            axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(len(names)), [f"{n} ({int(t)})" for n, t in zip(names, totals[:, 0], strict=True)])
            axes.tick_params(length=0)
            axes.set_xlabel("classified as")
            axes.set_title(
                f"{fill(f'{title}:', int(7.5 * size))}\nbalanced accuracy {score.balanced_accuracy:.2f}", fontsize=9.5
            )
            for spine in axes.spines.values():
                spine.set_visible(False)
        panels[0].set_ylabel("true region (patches), rows in %")
    return figure


def figure_factors(factors: pd.DataFrame) -> Figure:
    """Within-region correlation of each factor with its image statistic, real beside generated.

    Parameters
    ----------
    factors
        Columns factor, statistic, within_region_real, within_region_generated, p (of the generated one).
    """
    with drawing():
        rows = len(factors)
        figure = styled(6.4, 0.5 * max(rows, 1) + 1.1)
        axes = figure.subplots()
        y = np.arange(rows)[::-1]
        for offset, column, colour, name in (
            (0.18, "within_region_real", REAL, "real patches"),
            (-0.18, "within_region_generated", GENERATED, "generated patches"),
        ):
            axes.barh(y + offset, factors[column].astype(float).fillna(0.0), height=0.32, color=colour, label=name)
        for position, (_, row) in zip(y, factors.iterrows(), strict=True):
            value, p = float(row["within_region_generated"]), float(row["p"])
            if np.isfinite(value):
                anchor = value + (0.015 if value >= 0 else -0.015)
                text = f"p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"
                axes.text(
                    anchor,
                    position - 0.18,
                    text,
                    va="center",
                    ha="left" if value >= 0 else "right",
                    fontsize=7.5,
                    color=MUTED,
                )
        names = [
            f"{f.replace('_', ' ')}\n{s.replace('_', ' ')}"
            for f, s in zip(factors["factor"], factors["statistic"], strict=True)
        ]
        axes.set_yticks(y, names)
        axes.tick_params(axis="y", length=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        values = factors[["within_region_real", "within_region_generated"]].to_numpy(dtype=float)
        reach = max(0.3, float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.3) + 0.17
        axes.set_xlim(-reach if np.nanmin(np.append(values, 0)) < 0 else -0.05, reach)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("Spearman’s ρ between true factor and image statistic, mean within regions")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def figure_factor_scatter(
    factor: np.ndarray,
    statistics: Mapping[str, np.ndarray],
    region: Sequence[str],
    *,
    factor_name: str,
    statistic_name: str,
) -> Figure:
    """One factor against its image statistic, a panel for each entry ("real", "generated"), coloured by region."""
    labels = np.asarray(region, dtype=str)
    colours = colour_of(sorted(set(labels.tolist())))
    with drawing():
        figure = styled(3.1 * len(statistics) + 0.4, 3.0)
        panels = figure.subplots(1, len(statistics), squeeze=False, sharex=True, sharey=True)[0]
        for axes, (title, values) in zip(panels, statistics.items(), strict=True):
            for name, colour in colours.items():
                here = labels == name
                axes.scatter(
                    factor[here],
                    values[here],
                    s=7,
                    color=colour,
                    alpha=0.55,
                    linewidths=0,
                    label=name.replace("_", " "),
                )
            axes.set_title(title)
            axes.set_xlabel(f"true {factor_name.replace('_', ' ')}")
            axes.grid()
        panels[0].set_ylabel(statistic_name.replace("_", " "))
        handles, names = panels[0].get_legend_handles_labels()
        if len(names) > 1:
            legend = figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(names)), markerscale=2)
            for handle in legend.legend_handles:
                if handle is not None:
                    handle.set_alpha(1)
    return figure


def figure_distances(distances: Mapping[str, float], *, extractor: str, n: int) -> Figure:
    """Fréchet distances to the real test patches as bars: what is generated between its floor and its ceiling.

    Parameters
    ----------
    distances
        Distance by what was compared, in the order to draw; the entry "generated" is emphasised.
    extractor, n
        The network and the number of images, which belong to the numbers.
    """
    with drawing():
        figure = styled(6.4, 0.42 * len(distances) + 1.1)
        axes = figure.subplots()
        y = np.arange(len(distances))[::-1]
        values = np.array(list(distances.values()), dtype=float)
        colours = [
            GENERATED if "generated" in k and "shuffled" not in k else (SHUFFLED if "shuffled" in k else REAL)
            for k in distances
        ]
        axes.barh(y, values, height=0.62, color=colours)
        span = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
        for position, value in zip(y, values, strict=True):
            axes.text(value + 0.012 * span, position, f"{value:.3g}", va="center", fontsize=8.5)
        axes.set_yticks(y, list(distances))
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, span * 1.12 if span > 0 else 1)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"Fréchet distance to real test patches (lower is closer)\n{extractor}, N = {n}")
    return figure


def figure_training(
    rows: Sequence[Mapping[str, Any]],
    *,
    x: str = "images_seen",
    keys: Sequence[str] | None = None,
    levels: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Training curves, a panel for each quantity.

    Parameters
    ----------
    rows
        Rows of a ``metrics.jsonl``, oldest first; a row need not hold every quantity.
    x
        The quantity to draw against.
    keys
        Quantities to draw; by default every numeric one but step counts and times, at most twelve.
    levels
        Named horizontal lines by quantity, for example ``{"loss": {"chance": 4.85, "floor": 3.86}}``.
    """
    table = pd.DataFrame([dict(row) for row in rows])
    if x not in table:
        raise InputError(
            f"training curves need {x!r} in every row, found {', '.join(map(str, table.columns)) or 'no rows'}"
        )
    ignored = {x, "step", "steps", "seconds", "time", "epoch", "images_seen", "timestamp"}
    numeric = [c for c in table.columns if c not in ignored and pd.api.types.is_numeric_dtype(table[c])]
    drawn = list(keys) if keys is not None else numeric[:12]
    with drawing():
        columns = min(3, max(1, len(drawn)))
        lines = max(1, -(-len(drawn) // columns))
        figure = styled(3.1 * columns, 2.15 * lines + 0.1)
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, key in zip(panels, drawn, strict=False):
            here = table[[x, key]].dropna() if key in table else pd.DataFrame({x: [], key: []})
            axes.plot(here[x], here[key], color=CATEGORIES[0], linewidth=0.8, alpha=0.35)
            window = max(1, len(here) // 30)
            smooth = here[key].rolling(window, min_periods=1, center=True).mean()
            axes.plot(here[x], smooth, color=CATEGORIES[0], linewidth=1.6)
            for name, level in (levels or {}).get(key, {}).items():
                axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
                axes.annotate(
                    name,
                    (1, level),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="bottom",
                    fontsize=7.5,
                    color=MUTED,
                )
            axes.set_title(key.replace("_", " "), fontsize=9)
            axes.grid()
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4))
        for axes in panels[len(drawn) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(drawn) - columns) : len(drawn)]:
            axes.set_xlabel(x.replace("_", " "))
    return figure
