"""Which pair comes when: a pure function of (seed, images seen)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class PairOrder:
    """The endless shuffled sequence of pairs, one permutation an epoch.

    Parameters
    ----------
    pairs
        Number of pairs.
    seed
        Seed of the run.
    """

    def __init__(self, pairs: int, seed: int) -> None:
        self.pairs, self.seed = pairs, seed
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def indices(self, first: int, count: int) -> NDArray[np.int64]:
        """Give the pairs numbered ``first`` to ``first + count`` of the sequence."""
        numbers = np.arange(first, first + count)
        return np.concatenate(
            [self._shuffled(epoch)[numbers[numbers // self.pairs == epoch] % self.pairs]
             for epoch in range(first // self.pairs, (first + count - 1) // self.pairs + 1)]
        )  # fmt: skip

    def keys(self, first: int, count: int) -> NDArray[np.int64]:
        """Give each of those pairs its own seed for everything that is drawn for it."""
        return mix(np.arange(first, first + count, dtype=np.uint64), self.seed)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.pairs)
        return self._permutation


def mix(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.int64]:
    """Hash numbers and a seed to well-spread non-negative 63-bit keys (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(1)).astype(np.int64)
