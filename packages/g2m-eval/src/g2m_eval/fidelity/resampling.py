"""Spots drawn again and again within their sections, and statistics of all resamples at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from g2m_eval.intervals import RESAMPLES, Interval, percentile_interval, resamples

_ELEMENTS = 4_000_000  # of one array of resampled ranks: 32 MB


class SpotResamples:
    """How often each spot counts: once in the data (row 0), then as a bootstrap within sections draws it.

    Every statistic here is a function of weighted sums, so that all resamples are one matrix product and no row is
    copied. The same draw serves every metric and every kind of image, so that shares of one in another are paired.

    Parameters
    ----------
    sections
        Section of each spot: they keep their sizes.
    times, seed
        Of the bootstrap.

    Attributes
    ----------
    counts
        float32 (1 + times, spot).
    """

    def __init__(self, sections: ArrayLike, *, times: int = RESAMPLES, seed: int = 0) -> None:
        self.labels = np.unique(np.asarray(sections, dtype=str), return_inverse=True)[1]
        spots = len(self.labels)
        self.counts = np.ones((1 + times, spots), dtype=np.float32)
        for row, drawn in enumerate(resamples(spots, times=times, seed=seed, strata=self.labels), 1):
            self.counts[row] = np.bincount(drawn, minlength=spots)

    def members(self) -> Iterator[Int[np.ndarray, " spot"]]:
        """Spots of each section."""
        for label in range(int(self.labels.max(initial=-1)) + 1):
            yield np.flatnonzero(self.labels == label)

    def mean(self, values: Float[np.ndarray, " image"], owner: Int[np.ndarray, " image"]) -> Interval:
        """Mean over images of resampled spots; NaN are left out."""
        return interval_of(self.means(values, owner))

    def balanced(
        self, correct: Bool[np.ndarray, " image"], group: Int[np.ndarray, " image"], owner: Int[np.ndarray, " image"]
    ) -> Interval:
        """Balanced accuracy: mean over groups of the share that is correct; groups a resample lacks are left out."""
        recalls = [self.means(np.where(group == g, correct, np.nan), owner) for g in np.unique(group)]
        return interval_of(np.nanmean(recalls, axis=0))

    def means(
        self, values: Float[np.ndarray, " image"], owner: Int[np.ndarray, " image"]
    ) -> Float[np.ndarray, " resample"]:
        """The same for every resample, row 0 being the data's."""
        known = np.isfinite(values)
        total = np.bincount(owner[known], values[known], minlength=len(self.labels))
        number = np.bincount(owner[known], minlength=len(self.labels))
        with np.errstate(invalid="ignore"):
            return np.asarray((self.counts @ total) / (self.counts @ number))

    def spearman(
        self, x: Float[np.ndarray, " image"], y: Float[np.ndarray, " spot"], owner: Int[np.ndarray, " image"]
    ) -> Interval:
        """Spearman's rho of an image's number with its spot's within each section, averaged with weights n - 1.

        Images or spots without a number are left out. Ranks are those within each resample.
        """
        parts, weights = [], []
        for spots in self.members():
            images = np.flatnonzero(np.isin(owner, spots))
            images = images[np.isfinite(x[images]) & np.isfinite(y[owner[images]])]
            if len(images) < 3:
                continue
            rho = np.empty(len(self.counts))
            step = max(1, _ELEMENTS // len(images))
            for start in range(0, len(rho), step):
                drawn = self.counts[start : start + step, owner[images]].astype(np.float64)
                of_x, of_y = weighted_ranks(x[images], drawn), weighted_ranks(y[owner[images]], drawn)
                rho[start : start + step] = _weighted_pearson(of_x, of_y, drawn)
            parts.append(rho)
            weights.append(len(images) - 1)
        if not parts:
            return Interval(value=float("nan"), low=float("nan"), high=float("nan"))
        return interval_of(average_of(np.stack(parts), np.array(weights)))

    def pearson(
        self,
        x: Float[np.ndarray, "image gene"],
        y: Float[np.ndarray, "spot gene"],
        owner: Int[np.ndarray, " image"],
    ) -> Float[np.ndarray, "resample gene"]:
        """Pearson's r of each column over the images within each section, averaged with weights n - 1; float32.

        Several images of a spot count one each. NaN where a column is constant in every section.
        """
        parts, weights = [], []
        for spots in self.members():
            place = np.full(len(self.labels), -1)
            place[spots] = np.arange(len(spots))
            images = np.flatnonzero(place[owner] >= 0)
            if len(images) < 3:
                continue
            own = place[owner[images]]
            inside_x = (x[images] - x[images].mean(axis=0)).astype(np.float32)
            inside_y = (y[spots] - y[spots].mean(axis=0)).astype(np.float32)
            number = np.bincount(own, minlength=len(spots)).astype(np.float32)[:, None]
            drawn = self.counts[:, spots]
            total = drawn @ number
            sum_x = _sum_by(inside_x, own, len(spots))
            m_x, m_y = (drawn @ sum_x) / total, (drawn @ (number * inside_y)) / total
            v_x = (drawn @ _sum_by(inside_x**2, own, len(spots))) / total - m_x**2
            v_y = (drawn @ (number * inside_y**2)) / total - m_y**2
            covariance = (drawn @ (sum_x * inside_y)) / total - m_x * m_y
            varies = (v_x > 1e-6 * v_x[0]) & (v_y > 1e-6 * v_y[0]) & (v_x > 1e-12) & (v_y > 1e-12)
            parts.append(np.where(varies, covariance / np.sqrt(np.where(varies, v_x * v_y, 1)), np.nan))
            weights.append(len(images) - 1)
        if not parts:
            return np.full((len(self.counts), x.shape[1]), np.nan, dtype=np.float32)
        return average_of(np.stack(parts), np.array(weights)).astype(np.float32)


def interval_of(values: Float[np.ndarray, " resample"]) -> Interval:
    """Give the interval of a statistic: its value in row 0, then its resampled ones."""
    return percentile_interval(float(values[0]), np.asarray(values[1:], dtype=np.float64))


def average_of(parts: Float[np.ndarray, "section ..."], weights: np.ndarray) -> Float[np.ndarray, "..."]:
    """Weighted mean over sections of what is defined in them."""
    w = np.where(np.isfinite(parts), weights.reshape(-1, *[1] * (parts.ndim - 1)), 0.0)
    total = w.sum(axis=0)
    mean = (w * np.nan_to_num(parts)).sum(axis=0) / np.maximum(total, 1e-12)
    return np.asarray(np.where(total > 0, mean, np.nan))


def weighted_ranks(
    values: Float[np.ndarray, " n"], counts: Float[np.ndarray, "resample n"]
) -> Float[np.ndarray, "resample n"]:
    """Mean rank of each value in data that hold it ``counts`` times; equal values share one."""
    _, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    held = np.add.reduceat(counts[:, order], starts, axis=1)
    upto = np.cumsum(held, axis=1)
    return np.asarray((upto - (held - 1) / 2)[:, level])


def _weighted_pearson(
    x: Float[np.ndarray, "resample n"], y: Float[np.ndarray, "resample n"], w: Float[np.ndarray, "resample n"]
) -> Float[np.ndarray, " resample"]:
    total = w.sum(axis=1, keepdims=True)
    x = x - (w * x).sum(axis=1, keepdims=True) / total
    y = y - (w * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((w * x**2).sum(axis=1) * (w * y**2).sum(axis=1))
    return np.asarray(np.where(spread > 0, (w * x * y).sum(axis=1) / np.where(spread > 0, spread, 1), np.nan))


def _sum_by(
    values: Float[np.ndarray, "image gene"], owner: Int[np.ndarray, " image"], spots: int
) -> Float[np.ndarray, "spot gene"]:
    """Sum over the images of each spot."""
    if len(owner) == spots and (owner == np.arange(spots)).all():
        return values
    out = np.zeros((spots, values.shape[1]), dtype=np.float32)
    np.add.at(out, owner, values)
    return out
