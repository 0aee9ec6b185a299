"""Transcriptomic fidelity: do generated patches say as much about expression as real ones?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from g2m_eval.fidelity.regressor import Expression, ExpressionRegressor
from g2m_eval.fidelity.resampling import SpotResamples, interval_of
from g2m_eval.intervals import Interval

PREDICTABLE = 0.2
"""Least held-out correlation, among training pairs, of a gene that counts."""
_GENES = 512
_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class TranscriptomeScores:
    """How well expression is read from patches.

    Attributes
    ----------
    means
        By kind of patch ("real", "generated", "shuffled"): mean over genes of Pearson's r within sections.
    share
        That of generated patches in that of real ones.
    genes
        One row a gene that counts: gene, held_out (r among training pairs), then r for each kind of patch.
    """

    means: dict[str, Interval]
    share: Interval
    genes: pd.DataFrame


def score_transcriptome(
    regressor: ExpressionRegressor,
    features: Mapping[str, Float[np.ndarray, "image dim"]],
    owners: Mapping[str, Int[np.ndarray, " image"]],
    expression: Expression,
    resampled: SpotResamples,
    genes: Sequence[str],
    *,
    least: float = PREDICTABLE,
) -> TranscriptomeScores:
    """Read expression from patches of test spots, and correlate it with the spots' own.

    Which genes count is decided on held-out training pairs, so that the test's chance does not choose them. Several
    images of a spot count one each: their predictions are not averaged, which would make them quieter than one real
    patch can be.

    Parameters
    ----------
    regressor
        Fitted on real training pairs.
    features
        Of "real", "generated" and "shuffled" patches.
    owners
        Spot of each.
    expression
        Of test spots: what generated patches were prompted with.
    resampled
        Test spots.
    genes
        Names of all genes.
    least
        Least held-out r of a gene that counts.

    Returns
    -------
    NaN throughout and an empty table where no gene counts.
    """
    chosen = np.flatnonzero(np.nan_to_num(regressor.held_out, nan=-1.0) >= least)
    total = {kind: np.zeros(len(resampled.counts)) for kind in features}
    number = {kind: np.zeros(len(resampled.counts)) for kind in features}
    each: dict[str, list[np.ndarray]] = {kind: [] for kind in features}
    truth = _read(expression, len(resampled.labels), chosen)
    for start in range(0, len(chosen), _GENES):
        part = slice(start, start + _GENES)
        for kind, found in features.items():
            r = resampled.pearson(regressor.predict(found, chosen[part]), truth[:, part], owners[kind])
            total[kind] += np.nansum(r, axis=1, dtype=np.float64)
            number[kind] += np.isfinite(r).sum(axis=1)
            each[kind].append(r[0])
    with np.errstate(invalid="ignore"):
        mean = {kind: total[kind] / number[kind] for kind in features}
    return TranscriptomeScores(
        means={kind: interval_of(values) for kind, values in mean.items()},
        share=interval_of(mean["generated"] / mean["real"]),
        genes=pd.DataFrame(
            {
                "gene": np.asarray(genes, dtype=object)[chosen],
                "held_out": regressor.held_out[chosen],
                **{kind: np.concatenate(rows) if rows else np.zeros(0) for kind, rows in each.items()},
            }
        ),
    )


def _read(expression: Expression, spots: int, chosen: Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "spot chosen"]:
    """Expression of the genes that count, some spots at a time."""
    found = np.empty((spots, len(chosen)), dtype=np.float32)
    for start in range(0, spots, _ROWS):
        part = np.arange(start, min(start + _ROWS, spots))
        found[part] = np.asarray(expression(part))[:, chosen]
    return found
