"""Kernel distance (squared maximum mean discrepancy) between two sets of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from g2m_eval.errors import InputError

_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """Mean and standard deviation over subsets, and what they were computed from.

    Attributes
    ----------
    mean, sd
        Over the subsets; the mean of a set with itself is slightly negative, not 0, because the estimate is unbiased.
    subsets, subset_size
        How many subsets of how many images were drawn from either set.
    """

    mean: float
    sd: float
    subsets: int
    subset_size: int


def kernel_distance(
    a: Float[np.ndarray, "n_a dim_a"],
    b: Float[np.ndarray, "n_b dim_b"],
    *,
    subsets: int = 100,
    subset_size: int = 500,
    seed: int = 2020,
) -> KernelDistance:
    """Unbiased squared MMD with the kernel (x·y / dim + 1)³, over random subsets (Bińkowski et al. 2018).

    Draws the same subsets as torch-fidelity does from the same seed, so that its numbers are reproduced. Sets smaller
    than ``subset_size`` are compared whole, in subsets as large as the smaller set; the result says so.

    Raises
    ------
    InputError
        The dimensions differ, features are not finite, or a set has fewer than two images.
    """
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"features of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared: use one extractor for both"
        )
    size = min(subset_size, len(a), len(b))
    if size < 2 or subsets < 1:
        raise InputError(f"a kernel distance needs 2 images a set and 1 subset, got {len(a)} and {len(b)}, {subsets}")
    if not all(
        np.isfinite(features[i : i + _ROWS]).all() for features in (a, b) for i in range(0, len(features), _ROWS)
    ):
        raise InputError("features contain NaN or infinity: check the extractor and the images it was given")
    generator = np.random.RandomState(seed)  # the legacy generator, because torch-fidelity's subsets come from it
    distances = [
        _squared_mmd(
            np.asarray(a[generator.choice(len(a), size, replace=False)], dtype=np.float64),
            np.asarray(b[generator.choice(len(b), size, replace=False)], dtype=np.float64),
        )
        for _ in range(subsets)
    ]
    return KernelDistance(
        mean=float(np.mean(distances)), sd=float(np.std(distances)), subsets=subsets, subset_size=size
    )


def _squared_mmd(x: Float[np.ndarray, "m dim"], y: Float[np.ndarray, "m dim"]) -> float:
    within_x, within_y, between = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    m = len(x)
    within = within_x.sum() - np.trace(within_x) + within_y.sum() - np.trace(within_y)
    return float(within / (m * (m - 1)) - 2 * between.sum() / m**2)


def polynomial_kernel(x: Float[np.ndarray, "m dim"], y: Float[np.ndarray, "k dim"]) -> Float[np.ndarray, "m k"]:
    """Give (x·y / dim + 1)³ of every pair."""
    base = x @ y.T / x.shape[1] + 1
    return np.asarray(base * base * base)
