"""Dose response: a gene set driven from low to high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from g2m_interpret.config import PerturbationSettings
from g2m_interpret.perturbation.edits import Edit, edit_expression
from g2m_interpret.perturbation.effects import random_edits, share_beyond
from g2m_interpret.perturbation.intervals import spread_of_mean
from g2m_interpret.perturbation.simulator import Simulator
from g2m_interpret.progress import Track, pass_through


@dataclass(frozen=True, kw_only=True)
class DoseResponse:
    """What each dose does.

    Attributes
    ----------
    curve
        dose, statistic, mean, low, high (95 % over spots and noise).
    summary
        statistic (index), spearman (of mean and dose), change (highest less lowest dose), beyond_random (share of
        random sets whose change is smaller, either way), random_sets.
    random
        Changes of random sets, highest less lowest dose.
    """

    curve: pd.DataFrame
    summary: pd.DataFrame
    random: Float[np.ndarray, "set statistic"]


def dose_response(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    up: Sequence[str],
    noise_keys: Int[np.ndarray, "spot seed"],
    *,
    down: Sequence[str] = (),
    settings: PerturbationSettings | None = None,
    seed: int = 0,
    track: Track = pass_through,
) -> DoseResponse:
    """Multiply a set's counts by each dose (divide those of `down`), draw from the same noise and measure.

    Random sets, matched gene by gene in expression, are driven at the lowest and the highest dose only.

    Raises
    ------
    InputError
        A gene is not in the panel, or too few are left to match.
    """
    settings = settings or PerturbationSettings()
    doses = sorted(settings.doses)

    def edit(dose: float) -> Edit:
        return Edit(up=tuple(up), down=tuple(down), fold=dose, renormalise=settings.renormalise)

    def simulate(one: Edit) -> tuple[Float[np.ndarray, "spot seed statistic"], tuple[str, ...]]:
        return simulator.simulate(edit_expression(expression, simulator.genes, one), noise_keys)

    rows: list[dict[str, str | float]] = []
    means: list[Float[np.ndarray, " statistic"]] = []
    names: tuple[str, ...] = ()
    for dose in track(doses, description="Doses", total=len(doses)):
        values, names = simulate(edit(dose))
        means.append(np.nanmean(values, axis=(0, 1)))
        low, high = spread_of_mean(values, resamples=settings.resamples, seed=seed)
        for column, name in enumerate(names):
            rows.append(
                {"dose": dose, "statistic": name, "mean": means[-1][column], "low": low[column], "high": high[column]}
            )
    ends = [
        random_edits(simulator.genes, expression, edit(dose), settings.random_sets, seed)
        for dose in (doses[0], doses[-1])
    ]
    random = np.array(
        [
            np.nanmean(simulate(highest)[0], axis=(0, 1)) - np.nanmean(simulate(lowest)[0], axis=(0, 1))
            for lowest, highest in track(
                list(zip(*ends, strict=True)), description="Random sets", total=settings.random_sets
            )
        ]
    ).reshape(settings.random_sets, len(names))
    levels = np.array(means)
    change = levels[-1] - levels[0]
    summary = pd.DataFrame(
        {
            "spearman": [_monotony(doses, levels[:, column]) for column in range(len(names))],
            "change": change,
            "beyond_random": [share_beyond(change[column], random[:, column]) for column in range(len(names))],
            "random_sets": settings.random_sets,
        },
        index=pd.Index(names, name="statistic"),
    )
    return DoseResponse(curve=pd.DataFrame(rows), summary=summary, random=random)


def _monotony(doses: Sequence[float], level: Float[np.ndarray, " dose"]) -> float:
    if not np.isfinite(level).all() or np.ptp(level) == 0:
        return float("nan")
    return float(stats.spearmanr(doses, level).statistic)
