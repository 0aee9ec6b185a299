"""What an edit of expression does to the images, with the same noise on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from g2m_interpret.errors import OutsideTraining
from g2m_interpret.perturbation.edits import Edit, edit_expression, matched_genes, mean_expression
from g2m_interpret.perturbation.familiarity import Familiarity
from g2m_interpret.perturbation.intervals import spread_of_mean
from g2m_interpret.perturbation.simulator import Simulator
from g2m_interpret.progress import Track, pass_through


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """Measured images of unedited and edited spots.

    Attributes
    ----------
    edits
        In the order of `after`.
    statistics
        Names of the last axis.
    before, after
        Statistics of the images.
    familiar_before, familiar_after
        Share of profiles like those of training; NaN where that was not asked for.
    """

    edits: tuple[Edit, ...]
    statistics: tuple[str, ...]
    before: Float[np.ndarray, "spot seed statistic"]
    after: Float[np.ndarray, "edit spot seed statistic"]
    familiar_before: float
    familiar_after: Float[np.ndarray, " edit"]


def perturb(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    edits: Sequence[Edit],
    noise_keys: Int[np.ndarray, "spot seed"],
    *,
    familiarity: Familiarity | None = None,
    track: Track = pass_through,
) -> Perturbation:
    """Draw each spot unedited and with every edit, from the same noise, and measure.

    Warns
    -----
    OutsideTraining
        An edit takes more than half of the profiles out of what `familiarity` knows that were inside before.

    Raises
    ------
    InputError
        A gene is not in the panel, or sizes do not fit.
    """
    before, statistics = simulator.simulate(expression, noise_keys)
    inside = familiarity.is_familiar(expression) if familiarity else np.full(len(expression), np.nan)
    after, familiar = [], []
    for edit in track(edits, description="Perturbing", total=len(edits)):
        edited = edit_expression(expression, simulator.genes, edit)
        after.append(simulator.simulate(edited, noise_keys)[0])
        still = familiarity.is_familiar(edited) if familiarity else np.full(len(expression), np.nan)
        familiar.append(float(still.mean()))
        if familiar[-1] < 0.5 * float(inside.mean()):
            warnings.warn(
                f"{edit.name}: {1 - familiar[-1]:.0%} of the edited profiles are unlike any in training (unedited "
                f"{1 - float(inside.mean()):.0%}); what is drawn from them is a guess",
                OutsideTraining,
                stacklevel=2,
            )
    return Perturbation(
        edits=tuple(edits),
        statistics=statistics,
        before=before,
        after=np.stack(after),
        familiar_before=float(inside.mean()),
        familiar_after=np.array(familiar),
    )


def summarise_changes(perturbation: Perturbation, *, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Mean change of every statistic with its 95 % interval over spots and noise.

    A statistic may have no value on some images (NaN, as the stain of a blank one): `before`, `after` and `change` are
    of those images that have one on both sides.

    Returns
    -------
    edit, fold, renormalised, genes, statistic, before, after, change, low, high, change_sd (in standard deviations
    of the unedited images), familiar_before, familiar.
    """
    spread = np.nanstd(perturbation.before, axis=(0, 1))
    rows = []
    for number, edit in enumerate(perturbation.edits):
        change = perturbation.after[number] - perturbation.before
        low, high = spread_of_mean(change, resamples=resamples, seed=seed)
        mean = np.nanmean(change, axis=(0, 1))
        known = np.isfinite(change)
        before, after = (
            np.nanmean(np.where(known, values, np.nan), axis=(0, 1))
            for values in (perturbation.before, perturbation.after[number])
        )
        for column, statistic in enumerate(perturbation.statistics):
            rows.append(
                {
                    "edit": edit.name,
                    "fold": edit.fold,
                    "renormalised": edit.renormalise,
                    "genes": len(edit.up) + len(edit.down),
                    "statistic": statistic,
                    "before": float(before[column]),
                    "after": float(after[column]),
                    "change": float(mean[column]),
                    "low": float(low[column]),
                    "high": float(high[column]),
                    "change_sd": float(mean[column] / spread[column]) if spread[column] > 0 else float("nan"),
                    "familiar_before": perturbation.familiar_before,
                    "familiar": float(perturbation.familiar_after[number]),
                }
            )
    return pd.DataFrame(rows)


def random_changes(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    edit: Edit,
    noise_keys: Int[np.ndarray, "spot seed"],
    *,
    sets: int,
    seed: int = 0,
    track: Track = pass_through,
) -> Float[np.ndarray, "set statistic"]:
    """Mean changes when the same is done to random gene sets expressed alike: what any genes would do.

    Raises
    ------
    InputError
        The panel is too small to match the edit's genes.
    """
    before, _ = simulator.simulate(expression, noise_keys)
    changes = []
    for other in track(
        random_edits(simulator.genes, expression, edit, sets, seed), description="Random sets", total=sets
    ):
        after, _ = simulator.simulate(edit_expression(expression, simulator.genes, other), noise_keys)
        changes.append(np.nanmean(after - before, axis=(0, 1)))
    return np.array(changes).reshape(sets, before.shape[-1])


def random_edits(
    genes: Sequence[str], expression: Float[np.ndarray, "spot gene"], edit: Edit, sets: int, seed: int
) -> list[Edit]:
    """The same edit of random genes, each matched to one of the edit's in mean expression."""
    mean = mean_expression(expression)
    return [
        Edit(
            up=drawn[: len(edit.up)],
            down=drawn[len(edit.up) :],
            fold=edit.fold,
            renormalise=edit.renormalise,
            label=f"random set {number + 1}",
        )
        for number, drawn in enumerate(matched_genes(mean, genes, (*edit.up, *edit.down), sets=sets, seed=seed))
    ]


def share_beyond(change: float, random: Float[np.ndarray, " set"]) -> float:
    """Share of random sets that move a statistic less, either way; NaN where nothing is known."""
    known = np.abs(random[np.isfinite(random)])
    return float((known < abs(change)).mean()) if len(known) and np.isfinite(change) else float("nan")
