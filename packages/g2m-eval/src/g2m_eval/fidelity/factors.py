"""Does an image statistic follow a known factor, apart from the differences between regions?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from g2m_eval.errors import InputError

_CHUNK_ELEMENTS = 4_000_000  # of permuted ranks at a time: 32 MB


class WithinRegion(NamedTuple):
    """Correlation within regions: mean Spearman's rho, its two-sided p, and the spots it rests on."""

    rho: float
    p: float
    n: int


@dataclass(frozen=True)
class _Stratum:
    factor: Float[np.ndarray, " n"]
    statistic: Float[np.ndarray, " n"]


def within_region_correlation(
    factor: ArrayLike,
    statistic: ArrayLike,
    region: ArrayLike,
    *,
    min_spots: int = 10,
    permutations: int = 9999,
    seed: int = 0,
) -> WithinRegion:
    """Spearman's rho within each region, averaged over regions with weights n - 1, and its permutation p.

    The weights are the inverse variances of rho when nothing is correlated (1 / (n - 1)), so a large region counts as
    much more as it knows more. p is two-sided: the share of random re-pairings of spots *within* each region whose
    average is at least as far from 0, the observed one counted in, so that it is never 0. Spots are exchanged as if
    independent; where factors vary smoothly over the tissue, p says that the image knows the spot, not that it knows
    this gene set and no other.

    Parameters
    ----------
    factor, statistic
        One value a spot; spots where either is NaN are left out.
    region
        One label a spot. Section and region together ("s1 cortex") also remove differences between sections.
    min_spots
        Regions with fewer spots, or in which either side is constant, are left out.
    permutations
        Re-pairings drawn; 0 gives p = NaN.
    seed
        Of the re-pairings.

    Returns
    -------
    (rho, p, n); rho and p are NaN and n is 0 when no region is left.

    Raises
    ------
    InputError
        The three differ in length.
    """
    x, y, labels = np.asarray(factor, dtype=np.float64), np.asarray(statistic, dtype=np.float64), np.asarray(region)
    if not len(x) == len(y) == len(labels):
        raise InputError(f"factor, statistic and region need one value a spot, got {len(x)}, {len(y)}, {len(labels)}")
    finite = np.isfinite(x) & np.isfinite(y)
    strata = []
    for label in sorted(set(labels[finite].tolist()), key=str):
        here = finite & (labels == label)
        if here.sum() >= max(min_spots, 3) and np.ptp(x[here]) > 0 and np.ptp(y[here]) > 0:
            strata.append(_Stratum(_unit_ranks(x[here]), _unit_ranks(y[here])))
    if not strata:
        return WithinRegion(float("nan"), float("nan"), 0)

    weights = np.array([len(s.factor) - 1 for s in strata], dtype=np.float64)
    weights /= weights.sum()
    rho = float(sum(w * (s.factor @ s.statistic) for w, s in zip(weights, strata, strict=True)))
    n = sum(len(s.factor) for s in strata)
    if permutations < 1:
        return WithinRegion(rho, float("nan"), n)
    generator = np.random.default_rng(seed)
    null = np.zeros(permutations)
    for weight, stratum in zip(weights, strata, strict=True):
        null += weight * _permuted_correlations(stratum, permutations, generator)
    extreme = int((np.abs(null) >= abs(rho) - 1e-12).sum())
    return WithinRegion(rho, (1 + extreme) / (1 + permutations), n)


def _permuted_correlations(
    stratum: _Stratum, permutations: int, generator: np.random.Generator
) -> Float[np.ndarray, " permutations"]:
    size = len(stratum.factor)
    chunk = max(1, _CHUNK_ELEMENTS // size)
    parts = []
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        shuffled = generator.permuted(np.broadcast_to(stratum.statistic, (count, size)), axis=1)
        parts.append(shuffled @ stratum.factor)
    return np.concatenate(parts)


def _unit_ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Centred ranks of unit length: their inner product is Spearman's rho, ties included."""
    ranks = rankdata(values)
    centred = ranks - ranks.mean()
    return np.asarray(centred / np.linalg.norm(centred))
