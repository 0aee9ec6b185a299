"""How much distances between sets would differ on other spots: a bootstrap of spots in groups.

Drawn anew one by one, repeated images would make a set look smaller than it is: a Fréchet distance rises, an unbiased
kernel distance sees images equal to themselves. So spots are put into groups at random and groups are drawn, pairs of
an image with its own copy are left out, and the spread is laid around the value that was found: the interval is of the
distance at this number of images, bias included, because that is what is compared. Images of one spot stay together,
and so do the two sets' images of one spot.
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
from g2m_eval.intervals import Interval, resamples

_BYTES = 1 << 28  # of the covariances held at a time


@dataclass(frozen=True, kw_only=True)
class SpotGroups:
    """Groups of spots that two sets of images are resampled by, and how often each resample holds each group.

    Attributes
    ----------
    generated, reference
        Group of each image.
    weights
        ``(times, groups)``.
    """

    generated: Int[np.ndarray, " n_generated"]
    reference: Int[np.ndarray, " n_reference"]
    weights: Int[np.ndarray, "times groups"]

    @classmethod
    def draw(cls, generated: ArrayLike, reference: ArrayLike, *, groups: int, times: int, seed: int) -> SpotGroups:
        """Put spots into groups at random, those of either set alone and those of both evenly, and draw groups.

        Parameters
        ----------
        generated, reference
            Spot of each image; equal labels are one spot.
        groups
            As many as there are spots at most.
        times, seed
            Of the resamples.
        """
        spots, inverse = np.unique(np.concatenate([generated, reference]), return_inverse=True)
        of_generated, of_reference = np.split(inverse, [len(np.asarray(generated))])
        generator = np.random.default_rng(seed)
        held = np.isin(np.arange(len(spots)), of_generated) + 2 * np.isin(np.arange(len(spots)), of_reference)
        count = max(1, min(groups, len(np.unique(of_generated)), len(np.unique(of_reference))))
        group = np.empty(len(spots), dtype=np.int64)
        for which in (1, 2, 3):  # in the generated set alone, in the reference alone, in both
            members = generator.permutation(np.flatnonzero(held == which))
            group[members] = np.arange(len(members)) % count
        weights = np.stack([np.bincount(r, minlength=count) for r in resamples(count, times=times, seed=seed)])
        return cls(generated=group[of_generated], reference=group[of_reference], weights=weights)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.weights.shape[1])


def interval_of(value: float, resampled: Float[np.ndarray, " times"], groups: int) -> Interval:
    """Give value ± Student's t x standard error, from values of resampled groups; ends are NaN of fewer than two."""
    if groups < 2 or len(resampled) < 2:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    # resampled groups vary by (groups - 1) / groups of what other groups would
    error = float(np.std(resampled, ddof=1)) * (groups / (groups - 1)) ** 0.5
    margin = float(student.ppf(0.975, groups - 1)) * error
    return Interval(value=value, low=value - margin, high=value + margin)


def resampled_shares(
    values: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], weights: Int[np.ndarray, "times groups"]
) -> Float[np.ndarray, " times"]:
    """Means over images in each resample; NaN where it holds none."""
    groups = weights.shape[1]
    sums, counts = np.bincount(group, values, minlength=groups), np.bincount(group, minlength=groups)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ sums) / (weights @ counts))


def resampled_frechet(
    generated: Float[np.ndarray, "n_generated dim"], reference: Float[np.ndarray, "n_reference dim"], groups: SpotGroups
) -> Float[np.ndarray, " times"]:
    """Fréchet distances of the resamples, from moments of the groups."""
    pairs = zip(
        _resampled_statistics(generated, groups.generated, groups.weights),
        _resampled_statistics(reference, groups.reference, groups.weights),
        strict=True,
    )
    return np.array([frechet_distance(a, b) if min(a.count, b.count) > 1 else np.nan for a, b in pairs])


def _resampled_statistics(
    features: Float[np.ndarray, "n dim"], group: Int[np.ndarray, " n"], weights: Int[np.ndarray, "times groups"]
) -> Iterator[FeatureStatistics]:
    dim = features.shape[1]
    origin = np.asarray(features.mean(axis=0, dtype=np.float64))  # near every mean, so that none costs digits
    members = [np.flatnonzero(group == g) for g in range(weights.shape[1])]
    at_once = max(1, _BYTES // (8 * dim * dim))
    for start in range(0, len(weights), at_once):
        drawn = weights[start : start + at_once].astype(np.float64)
        counts, sums = np.zeros(len(drawn)), np.zeros((len(drawn), dim))
        products = np.zeros((len(drawn), dim, dim))
        for g, rows in enumerate(members):
            centred = np.asarray(features[rows], dtype=np.float64) - origin
            product, total = centred.T @ centred, centred.sum(axis=0)
            counts += drawn[:, g] * len(rows)
            for resample in np.flatnonzero(drawn[:, g]):
                products[resample] += drawn[resample, g] * product
                sums[resample] += drawn[resample, g] * total
        for count, total, product in zip(counts, sums, products, strict=True):
            mean = total / max(count, 1)
            product -= count * np.outer(mean, mean)
            yield FeatureStatistics(count=int(count), mean=origin + mean, scatter=product)


def resampled_kernel(
    generated: Float[np.ndarray, "n_generated dim"], reference: Float[np.ndarray, "n_reference dim"], groups: SpotGroups
) -> Float[np.ndarray, " times"]:
    """Unbiased squared MMD of the resamples, over all pairs but those of an image with a copy of itself."""
    a, b, weights = groups.generated, groups.reference, groups.weights.astype(np.float64)
    n_a, n_b = (np.bincount(group, minlength=groups.count).astype(np.float64) for group in (a, b))
    within = [
        _weigh(_group_sums(x, x, group, group, groups.count), n, weights)
        for x, group, n in ((generated, a, n_a), (reference, b, n_b))
    ]
    between = _group_sums(generated, reference, a, b, groups.count)
    with np.errstate(invalid="ignore", divide="ignore"):
        across = np.einsum("tg,gh,th->t", weights, between, weights) / ((weights @ n_a) * (weights @ n_b))
    return np.asarray(within[0] + within[1] - 2 * across)


def _weigh(
    sums: Float[np.ndarray, "groups groups"],
    n: Float[np.ndarray, " groups"],
    weights: Float[np.ndarray, "times groups"],
) -> Float[np.ndarray, " times"]:
    """Mean of the kernel over pairs within a set; those of two copies of one group are left out."""
    own, apart = np.diag(sums), sums - np.diag(np.diag(sums))
    pairs = np.outer(n, n) - np.diag(n * n)
    total = np.einsum("tg,gh,th->t", weights, apart, weights) + weights @ own
    count = np.einsum("tg,gh,th->t", weights, pairs, weights) + weights @ (n * (n - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count)


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
