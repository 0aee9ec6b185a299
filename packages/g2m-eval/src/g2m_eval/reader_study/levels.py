"""Grey levels that both kinds of images reach equally often."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.stats import rankdata

MOST_CUT = 30
"""Grey levels that are cut off at most, at either end of each channel."""
_INSIDE = 4

Levels = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def common_levels(images: UInt8[np.ndarray, "n height width 3"], generated: Bool[np.ndarray, " n"]) -> Levels:
    """Find, for each channel, a darkest and a brightest level at which clipped images of both kinds are alike.

    A generator's output is clipped to 0 ... 255 and reaches these ends; photographs, and most of all averaged ones, do
    not: on the demo's test spots the share of an image's pixels at 255 alone told generated from real with an area
    under the ROC curve of 0.97. Of the levels allowed (`MOST_CUT`) this takes the one where the worse of two shares of
    an image's pixels, of those at the level or beyond and of those up to four levels inside it, tells the kinds apart
    least (area nearest to 0.5); of equals the one that changes least. Inside counts because white is flat in generated
    images and grained in real ones: a level at the top of the grain would leave it to be told (area 0.93). Both shares
    together went down to 0.75 there, not to chance: how bright or dark tissue is drawn stays a difference.

    Parameters
    ----------
    images
        All images of a study.
    generated
        Which are generated; both kinds must be there.

    Returns
    -------
    Low and high of red, green and blue.
    """
    counts = np.stack([[np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)] for image in images])
    low = [_least_telling(counts[:, c], generated) for c in range(3)]
    high = [255 - _least_telling(counts[:, c, ::-1], generated) for c in range(3)]
    return (low[0], high[0]), (low[1], high[1]), (low[2], high[2])


def clip_levels(images: UInt8[np.ndarray, "n height width 3"], levels: Levels) -> UInt8[np.ndarray, "n height width 3"]:
    """Clip each channel to its darkest and brightest level."""
    low, high = np.array(levels, dtype=np.uint8).T
    return np.asarray(np.clip(images, low, high))


def _least_telling(counts: Int[np.ndarray, "n 256"], generated: Bool[np.ndarray, " n"]) -> int:
    """Give the place from the start where the kinds are told apart least."""
    within = counts.cumsum(axis=1)
    at = within[:, : MOST_CUT + 1]
    inside = within[:, _INSIDE : MOST_CUT + 1 + _INSIDE] - at
    told = [np.abs(_roc_areas(shares, generated) - 0.5).round(9) for shares in (at, inside)]
    return int(np.maximum(*told).argmin())


def _roc_areas(shares: Int[np.ndarray, "n level"], generated: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " level"]:
    """Share of pairs of a generated and a real image in which the generated one has more, ties half."""
    count = int(generated.sum())
    ranks = rankdata(shares, axis=0)[generated].sum(axis=0)
    return np.asarray((ranks - count * (count + 1) / 2) / (count * (len(generated) - count)))
