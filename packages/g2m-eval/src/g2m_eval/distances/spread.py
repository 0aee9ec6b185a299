"""How much distances between sets would differ on other spots: spots in groups, left out a group at a time.

Drawn anew one by one, repeated images would make a set look smaller than it is: a Fréchet distance rises, an unbiased
kernel distance sees images equal to themselves. A set without one group of its spots has no repeated image and nearly
its whole size; how such sets differ gives the standard error (jackknife, Efron and Stein 1981), which is laid around
the value that was found: the interval is of the distance at this number of images, bias included, because that is what
is compared. On average the error is never too small. It is too large where images do not far outnumber dimensions:
measured, by up to a half, and by up to three quarters with fewer images than dimensions. Images of one spot stay
together, and so do the two sets' images of one spot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import t as student

from g2m_eval.distances.frechet import FeatureStatistics, frechet_distance
from g2m_eval.distances.kernel import polynomial_kernel
from g2m_eval.errors import InputError
from g2m_eval.intervals import Interval, percentile_interval, resamples

FEWEST_GROUPS = 5
"""Groups below which nothing is said about other spots: the ends of intervals are NaN."""
_TIMES = 500


@dataclass(frozen=True, kw_only=True)
class SpotGroups:
    """Groups of spots that two sets of images consist of.

    Attributes
    ----------
    generated, reference
        Group of each image.
    count
        How many groups there are.
    """

    generated: Int[np.ndarray, " n_generated"]
    reference: Int[np.ndarray, " n_reference"]
    count: int

    @classmethod
    def draw(cls, generated: ArrayLike, reference: ArrayLike, *, groups: int, seed: int) -> SpotGroups:
        """Put spots into groups at random, those of either set alone and those of both evenly.

        Parameters
        ----------
        generated, reference
            Spot of each image; equal labels are one spot.
        groups
            As many as either set has spots at most.
        seed
            Of the order of spots.
        """
        spots, inverse = np.unique(np.concatenate([generated, reference]), return_inverse=True)
        of_generated, of_reference = np.split(inverse, [len(np.asarray(generated))])
        generator = np.random.default_rng(seed)
        held = np.isin(np.arange(len(spots)), of_generated) + 2 * np.isin(np.arange(len(spots)), of_reference)
        count = max(1, min(groups, len(np.unique(of_generated)), len(np.unique(of_reference))))
        group = np.empty(len(spots), dtype=np.int64)
        shared = int((held == 3).sum())
        for which in (1, 2, 3):  # in the generated set alone, in the reference alone, in both
            members = generator.permutation(np.flatnonzero(held == which))
            # those of one set go on where the shared ones end, so that no group of either set stays empty
            group[members] = (np.arange(len(members)) + (0 if which == 3 else shared)) % count
        return cls(generated=group[of_generated], reference=group[of_reference], count=count)


def jackknife_interval(value: float, without_each: Float[np.ndarray, " groups"]) -> Interval:
    """Give value ± Student's t x standard error, from the values without each group; NaN ends below 5 groups."""
    groups = len(without_each)
    if groups < FEWEST_GROUPS:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    error = float(np.sqrt((groups - 1) * np.var(without_each)))
    margin = float(student.ppf(0.975, groups - 1)) * error
    return Interval(value=value, low=value - margin, high=value + margin)


def share_interval(
    value: float, each: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], *, groups: int, seed: int
) -> Interval:
    """Percentiles of means over images when groups are drawn anew, which means allow; NaN ends below 5 groups."""
    if groups < FEWEST_GROUPS:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    weights = np.stack([np.bincount(r, minlength=groups) for r in resamples(groups, times=_TIMES, seed=seed)])
    sums, counts = np.bincount(group, each, minlength=groups), np.bincount(group, minlength=groups)
    return percentile_interval(value, np.asarray((weights @ sums) / (weights @ counts)))


def frechet_without_each(
    generated: Float[np.ndarray, "n_generated dim"], reference: Float[np.ndarray, "n_reference dim"], groups: SpotGroups
) -> Float[np.ndarray, " groups"]:
    """Fréchet distances without each of the groups; fewer than 5 groups give none."""
    if groups.count < FEWEST_GROUPS:
        return np.zeros(0)  # what is left could be a single image
    pairs = zip(
        _statistics_without_each(generated, groups.generated, groups.count),
        _statistics_without_each(reference, groups.reference, groups.count),
        strict=True,
    )
    return np.array([frechet_distance(a, b) for a, b in pairs])


def _statistics_without_each(
    features: Float[np.ndarray, "n dim"], group: Int[np.ndarray, " n"], count: int
) -> Iterator[FeatureStatistics]:
    dim = features.shape[1]
    origin = np.asarray(features.mean(axis=0, dtype=np.float64))  # near every mean, so that none costs digits
    members = [np.flatnonzero(group == g) for g in range(count)]

    def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = np.asarray(features[rows], dtype=np.float64) - origin
        return centred.sum(axis=0), centred.T @ centred

    total, products = np.zeros(dim), np.zeros((dim, dim))
    for rows in members:
        of_sum, of_product = moments(rows)
        total += of_sum
        products += of_product
    for rows in members:
        of_sum, of_product = moments(rows)
        left = len(features) - len(rows)
        mean = (total - of_sum) / left
        yield FeatureStatistics(
            count=left, mean=origin + mean, scatter=products - of_product - left * np.outer(mean, mean)
        )


def kernel_without_each(
    generated: Float[np.ndarray, "n_generated dim"], reference: Float[np.ndarray, "n_reference dim"], groups: SpotGroups
) -> Float[np.ndarray, " groups"]:
    """Unbiased squared MMD, over all pairs of images, without each of the groups; fewer than 5 groups give none."""
    if groups.count < FEWEST_GROUPS:
        return np.zeros(0)
    a, b = groups.generated, groups.reference
    left_a, left_b = (len(group) - np.bincount(group, minlength=groups.count) for group in (a, b))
    within = [
        _left(_group_sums(x, x, group, group, groups.count)) / (left * (left - 1))
        for x, group, left in ((generated, a, left_a), (reference, b, left_b))
    ]
    across = _left(_group_sums(generated, reference, a, b, groups.count)) / (left_a * left_b)
    return np.asarray(within[0] + within[1] - 2 * across)


def _left(sums: Float[np.ndarray, "groups groups"]) -> Float[np.ndarray, " groups"]:
    """Sums over pairs of groups without those of each group."""
    return np.asarray(sums.sum() - sums.sum(axis=0) - sums.sum(axis=1) + np.diag(sums))


def _group_sums(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    of_x: Int[np.ndarray, " n"],
    of_y: Int[np.ndarray, " m"],
    count: int,
) -> Float[np.ndarray, "groups groups"]:
    """Sums of the kernel between groups; of a set with itself without pairs of an image with itself."""
    same = x is y
    sums = np.zeros((count, count))
    # float32 halves the time, and its rounding is far below what resamples differ by
    parts = [np.asarray(y[of_y == h], dtype=np.float32) for h in range(count)]
    for g in range(count):
        mine = parts[g] if same else np.asarray(x[of_x == g], dtype=np.float32)
        for h in range(g if same else 0, count):
            kernel = polynomial_kernel(mine, parts[h])
            total = float(kernel.sum(dtype=np.float64))
            if same and g == h:
                total -= float(np.trace(kernel, dtype=np.float64))
            sums[g, h] = total
            if same:
                sums[h, g] = total
    return sums


def check_spots(labels: ArrayLike, images: int, side: str) -> np.ndarray:
    """Give the labels as an array.

    Raises
    ------
    InputError
        They are not one an image.
    """
    spots = np.asarray(labels)
    if len(spots) != images:
        raise InputError(f"resampling spots needs a spot for each {side} image, got {len(spots)} for {images}")
    return spots
