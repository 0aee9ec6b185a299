"""95 % intervals by resampling spots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from g2m_eval.errors import InputError

RESAMPLES = 1000
"""Bootstrap resamples unless told otherwise: ends of a 95 % interval are then sure to about 0.07 standard errors."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with the ends of its 95 % interval.

    Attributes
    ----------
    value
        Of all the data.
    low, high
        Ends; NaN where nothing could be resampled.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Give what ``metrics.json`` holds: value, low, high."""
        return asdict(self)

    def overlaps(self, other: Interval) -> bool:
        """Whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def resamples(
    count: int, *, times: int = RESAMPLES, seed: int = 0, strata: ArrayLike | None = None
) -> Iterator[Int[np.ndarray, " count"]]:
    """Draw rows with replacement, as many as there are, within each stratum (section, region) by itself.

    Parameters
    ----------
    count
        Rows there are.
    times
        Resamples to give.
    strata
        Stratum of each row; one by default.

    Raises
    ------
    InputError
        The strata are not one a row.
    """
    labels = np.zeros(count, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    if len(labels) != count:
        raise InputError(f"resampling {count} rows needs a stratum for each, got {len(labels)}")
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max(initial=-1)) + 1)]
    generator = np.random.default_rng(seed)
    for _ in range(times):
        drawn = np.empty(count, dtype=np.int64)
        for rows in members:
            drawn[rows] = generator.choice(rows, len(rows))
        yield drawn


def bootstrap(
    statistic: Callable[[Int[np.ndarray, " count"]], float],
    count: int,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
    strata: ArrayLike | None = None,
) -> Interval:
    """Percentile bootstrap of a statistic over rows.

    For statistics whose expectation hardly depends on repeated rows: means, correlations, accuracies. A Fréchet
    distance is not one of them.

    Parameters
    ----------
    statistic
        Given rows, the number.
    count, times, seed, strata
        As of `resamples`.
    """
    values = np.array([statistic(rows) for rows in resamples(count, times=times, seed=seed, strata=strata)])
    return percentile_interval(float(statistic(np.arange(count))), values)


def percentile_interval(value: float, resampled: Float[np.ndarray, " times"]) -> Interval:
    """Give the interval between the 2.5th and the 97.5th percentile of resampled values; NaN are left out."""
    kept = resampled[np.isfinite(resampled)]
    if not len(kept):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.percentile(kept, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))
