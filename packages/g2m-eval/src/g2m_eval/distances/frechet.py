"""Fréchet distance between two sets of features, from the features or from streamed statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from g2m_eval.errors import InputError

_ROWS = 4096


@dataclass(kw_only=True)
class FeatureStatistics:
    """Mean and unbiased covariance of features that are seen batch by batch and never held together.

    Batches are combined by the pairwise update of Chan et al. 1983, so that the result does not depend on how the
    features were cut into batches (up to rounding), nor do large means cost digits.

    Attributes
    ----------
    count
        Features seen so far.
    mean
        Their mean, float64 (dim,).
    scatter
        Sum of outer products of the centred features, float64 (dim, dim).
    """

    count: int = 0
    mean: Float[np.ndarray, " dim"] = field(default_factory=lambda: np.zeros(0))
    scatter: Float[np.ndarray, "dim dim"] = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(cls, features: Float[np.ndarray, "n dim"]) -> FeatureStatistics:
        """Statistics of one array of features, which may be memory-mapped and larger than memory."""
        statistics = cls()
        for start in range(0, len(features), _ROWS):
            statistics.update(features[start : start + _ROWS])
        return statistics

    @property
    def covariance(self) -> Float[np.ndarray, "dim dim"]:
        """Unbiased covariance (divided by n - 1).

        Raises
        ------
        InputError
            Fewer than two features were seen.
        """
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 images, got {self.count}: compare more images")
        return self.scatter / (self.count - 1)

    def update(self, features: Float[np.ndarray, "n dim"]) -> None:
        """Add a batch of features."""
        batch = np.asarray(features, dtype=np.float64)
        if not np.isfinite(batch).all():
            raise InputError("features contain NaN or infinity: check the extractor and the images it was given")
        if len(batch) == 0:
            return
        mean = batch.mean(axis=0)
        centred = batch - mean
        added = FeatureStatistics(count=len(batch), mean=mean, scatter=centred.T @ centred)
        merged = self.merge(added)
        self.count, self.mean, self.scatter = merged.count, merged.mean, merged.scatter

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of both sets together; neither operand is changed."""
        if self.count == 0 or other.count == 0:
            full = other if self.count == 0 else self
            return FeatureStatistics(count=full.count, mean=full.mean.copy(), scatter=full.scatter.copy())
        _check_same_dimension(self.mean, other.mean)
        count = self.count + other.count
        delta = other.mean - self.mean
        return FeatureStatistics(
            count=count,
            mean=self.mean + delta * (other.count / count),
            scatter=self.scatter + other.scatter + np.outer(delta, delta) * (self.count * other.count / count),
        )


def frechet_distance(
    a: Float[np.ndarray, "n_a dim_a"] | FeatureStatistics, b: Float[np.ndarray, "n_b dim_b"] | FeatureStatistics
) -> float:
    """Squared Fréchet (2-Wasserstein) distance between Gaussians fitted to two sets of features (Heusel et al. 2017).

    ``|m1 - m2|² + tr S1 + tr S2 - 2 sum sqrt(eig(S1 S2))`` with unbiased covariances, as torch-fidelity defines it.
    With factors S = F Fᵀ the eigenvalues of S1 S2 are the squared singular values of F1ᵀ F2, which are real and need
    no square root: so nothing is ever NaN or complex, also with fewer images than dimensions, where other
    implementations fail.

    Parameters
    ----------
    a, b
        Features, or statistics of features; at least two images each.

    Returns
    -------
    The distance, at least 0. It depends on the extractor, the image size and the number of images (it is biased
    upward for few): compare only numbers that share all three. It is "FID" only with Inception's features.

    Raises
    ------
    InputError
        The dimensions differ, features are not finite, or a set has fewer than two images.
    """
    first = a if isinstance(a, FeatureStatistics) else FeatureStatistics.of(a)
    second = b if isinstance(b, FeatureStatistics) else FeatureStatistics.of(b)
    covariance_a, covariance_b = first.covariance, second.covariance
    _check_same_dimension(first.mean, second.mean)
    overlap = np.linalg.svd(_factor(covariance_a).T @ _factor(covariance_b), compute_uv=False).sum()
    shift = first.mean - second.mean
    return max(0.0, float(shift @ shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap))


def _factor(covariance: Float[np.ndarray, "dim dim"]) -> Float[np.ndarray, "dim rank"]:
    """F with F Fᵀ = covariance, without the directions that carry nothing but rounding."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > max(0.0, float(values[-1])) * len(values) * np.finfo(np.float64).eps
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))


def _check_same_dimension(a: Float[np.ndarray, " _"], b: Float[np.ndarray, " _"]) -> None:
    if a.shape != b.shape:
        raise InputError(f"features of {len(a)} and {len(b)} dimensions cannot be compared: use one extractor for both")
