"""Parts of a slide that share no pixel, to hold out one while the others are learned from."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from g2m_eval.errors import InputError

BESIDE = -1
"""Number of patches that reach over the edge of a block, and so belong to none."""


def spatial_blocks(
    xy: Float[np.ndarray, "n 2"],
    width: float | Float[np.ndarray, " n"],
    samples: ArrayLike | None = None,
    *,
    per_side: int = 3,
) -> Int[np.ndarray, " n"]:
    """Cut each section into ``per_side`` x ``per_side`` blocks of about as many patches; none overlaps another's.

    Neighbouring pairs share pixels and bins, so that a random half of a slide is known from the other half. Edges lie
    at quantiles: first columns, then rows within each column.

    Parameters
    ----------
    xy
        Centre of each patch, in the unit of ``width``.
    width
        Of a patch, or of each.
    samples
        Section of each patch; one by default.
    per_side
        Blocks along each side of a section.

    Returns
    -------
    Number of the block of each patch, from 0; `BESIDE` for patches that an edge cuts.

    Raises
    ------
    InputError
        The arguments differ in length.
    """
    sections = np.zeros(len(xy), dtype=np.int64) if samples is None else np.unique(samples, return_inverse=True)[1]
    if len(sections) != len(xy):
        raise InputError(f"blocks need one section a patch, got {len(sections)} for {len(xy)} patches")
    half = np.broadcast_to(np.asarray(width, dtype=np.float64) / 2, len(xy))
    found = np.full(len(xy), BESIDE, dtype=np.int64)
    for section in range(int(sections.max(initial=-1)) + 1):
        here = np.flatnonzero(sections == section)
        column, columns_cut = _cut(xy[here, 0], half[here], per_side)
        for c in range(per_side):
            inside = here[column == c]
            row, rows_cut = _cut(xy[inside, 1], half[inside], per_side)
            whole = ~(columns_cut[column == c] | rows_cut)
            found[inside[whole]] = ((section * per_side + c) * per_side + row)[whole]
    return found


def _cut(
    x: Float[np.ndarray, " n"], half: Float[np.ndarray, " n"], parts: int
) -> tuple[Int[np.ndarray, " n"], np.ndarray]:
    """Number of the part of each place between quantiles, and whether an inner edge lies within ``half`` of it."""
    if not len(x):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    edges = np.quantile(x, np.arange(1, parts) / parts)
    near = np.abs(x[:, None] - edges[None, :]) < half[:, None]
    return np.searchsorted(edges, x, side="right"), near.any(axis=1)
