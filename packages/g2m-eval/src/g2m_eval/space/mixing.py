"""How well two kinds of points mix: real and generated patches, in features rather than in a picture of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.neighbors import NearestNeighbors

from g2m_eval.errors import InputError
from g2m_eval.intervals import Interval

NEIGHBOURS = 15
"""Nearest others of each point that are looked at."""
_PATCHES_A_NEIGHBOUR = 3  # of fewer, halves hold little else than neighbours, and their spread is too small or none
FEWEST = _PATCHES_A_NEIGHBOUR * NEIGHBOURS
"""Patches of each kind that a score needs."""
HALVES = 200
"""Half samples behind an interval."""


def mixing_score(
    a: Float[np.ndarray, "n dim"],
    b: Float[np.ndarray, "m dim"],
    *,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> Interval:
    """Mean share of a point's neighbours that are of the other kind, over what perfect mixing gives.

    1 = the kinds cannot be told apart by their neighbours, 0 = no point has a neighbour of the other kind. Both kinds
    are cut to the same number first, at random, since the larger one would otherwise count for more.

    The interval is 1.96 standard errors to both sides. Points share neighbours, so that resampling them one by one
    would make it too narrow; instead the score is taken of random halves of both kinds, which spread around that of
    all points by just one standard error of the latter (Politis, Romano and Wolf 1999).

    Parameters
    ----------
    a, b
        Features of the two kinds, by one network; neighbours are the nearest by Euclidean distance, in all dimensions.
    neighbours
        Of each point, itself left out.
    seed
        Of the cut and of the halves.

    Raises
    ------
    InputError
        A kind has fewer than 3 x ``neighbours`` points.
    """
    count = min(len(a), len(b))
    fewest = _PATCHES_A_NEIGHBOUR * neighbours
    if count < fewest:
        raise InputError(f"mixing needs at least {fewest} patches of each kind, got {len(a)} and {len(b)}")
    generator = np.random.default_rng(seed)
    kept = [points[np.sort(generator.choice(len(points), count, replace=False))] for points in (a, b)]
    points = np.concatenate(kept).astype(np.float32)
    kind = np.repeat([0, 1], count)
    # of four times as many neighbours, those in a half sample are nearly always enough
    index = NearestNeighbors(n_neighbors=min(4 * neighbours, 2 * count - 1), algorithm="brute").fit(points)
    near = index.kneighbors(return_distance=False)  # without points given, each point's own row is left out
    other = kind[near] != kind[:, None]
    value = _score(near, other, np.ones(2 * count, dtype=bool), neighbours)
    halves = np.empty(HALVES)
    for place in range(HALVES):
        inside = np.zeros(2 * count, dtype=bool)
        for start in (0, count):
            inside[start + generator.choice(count, count // 2, replace=False)] = True
        halves[place] = _score(near, other, inside, neighbours)
    margin = 1.96 * float(halves.std(ddof=1))
    return Interval(value=value, low=max(value - margin, 0.0), high=value + margin)


def _score(
    near: Int[np.ndarray, "point near"],
    other: Bool[np.ndarray, "point near"],
    inside: Bool[np.ndarray, " point"],
    k: int,
) -> float:
    """Mixing of the points inside, whose neighbours are the first k of ``near`` that are inside too."""
    present = inside[near[inside]]
    taken = present & (np.cumsum(present, axis=1) <= k)
    share = (taken & other[inside]).sum(axis=1) / np.maximum(taken.sum(axis=1), 1)
    count = inside.sum() / 2
    return float(share.mean() / (count / (2 * count - 1)))  # of the other 2 n - 1 points, n are of the other kind
