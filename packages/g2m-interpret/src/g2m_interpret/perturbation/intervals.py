"""95 % intervals of a mean over spots and their noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def spread_of_mean(
    values: Float[np.ndarray, "spot seed ..."], *, resamples: int, seed: int
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Ends of the percentile bootstrap's 95 % interval: spots are drawn with replacement, then noise within each.

    NaN are left out.
    """
    spots, seeds = int(values.shape[0]), int(values.shape[1])
    generator = np.random.default_rng(seed)
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    means = []
    for _ in range(resamples):
        rows = generator.integers(spots, size=(spots, 1))
        columns = generator.integers(seeds, size=(spots, seeds))
        count = known[rows, columns].sum(axis=(0, 1))
        total = filled[rows, columns].sum(axis=(0, 1))
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    low, high = np.nanpercentile(np.stack(means), [2.5, 97.5], axis=0)
    return np.asarray(low), np.asarray(high)
