"""Patches as a network takes them in training: planes of float32, flipped and turned."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2m_data.threads import THREADS, run_in_threads, split


def read_patches(
    slide: NDArray[np.uint8],
    corners: NDArray[np.integer],
    size: int,
    out: NDArray[np.float32] | None = None,
    *,
    flips: NDArray[np.integer] | None = None,
    quarter_turns: NDArray[np.integer] | None = None,
    threads: int = THREADS,
) -> NDArray[np.float32]:
    """Read a batch of patches as float32 from a slide in memory, or memory-mapped.

    Which are flipped and turned is the caller's to draw, so that a seed of its own reproduces them.

    Parameters
    ----------
    slide
        uint8 (height, width, 3), as :meth:`g2m_data.PairedDataset.slide` gives it; a copy of it in memory
        (``np.array(slide)``) is read at the same speed from the first patch on.
    corners
        (n, 2): top-left row and column of each patch, some of :attr:`g2m_data.PairedDataset.corners`.
    size
        Pixels along a patch's side.
    out
        Where to write, contiguous; a buffer used again saves the time that fresh memory takes.
    flips
        (n,): 0 as it is, 1 left to right, 2 upside down, 3 both.
    quarter_turns
        (n,): by how many times 90 degrees a patch is turned counterclockwise after it was flipped, 0 to 3.
    threads
        How many share the patches.

    Returns
    -------
    float32 (n, 3, size, size) in [-1, 1]: grey level / 127.5 - 1, exactly as float32 computes it.

    Raises
    ------
    IndexError
        If a patch lies partly outside the slide.
    ValueError
        If `slide` or `out` has another shape or kind, or flips and turns are not of these numbers.
    """
    from g2m_data.patch_kernels import read_into  # compiled: numba takes half a second to import

    if slide.dtype != np.uint8 or slide.ndim != 3 or slide.shape[2] != 3 or not slide.flags.c_contiguous:
        raise ValueError(
            f"a slide must be contiguous uint8 (height, width, 3), found {slide.dtype} {slide.shape}; "
            "np.ascontiguousarray copies a part of one"
        )
    corners = np.asarray(corners, dtype=np.int64).reshape(-1, 2)
    shape = (len(corners), 3, size, size)
    if len(corners) and (corners.min() < 0 or (corners.max(axis=0) + size > slide.shape[:2]).any()):
        raise IndexError(f"patches of {size} pixels lie partly outside the slide of {slide.shape[:2]} (rows, columns)")
    patches = np.empty(shape, dtype=np.float32) if out is None else out
    if patches.shape != shape or patches.dtype != np.float32 or not patches.flags.c_contiguous:
        raise ValueError(f"out must be contiguous float32 {shape}, found {patches.dtype} {patches.shape}")
    flip, turn = _codes(flips, len(corners), "flips"), _codes(quarter_turns, len(corners), "quarter_turns")
    lines = slide.reshape(len(slide), -1)
    table = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)

    def work(part: slice) -> None:
        read_into(lines, corners[part], flip[part], turn[part], table, patches[part])

    run_in_threads(work, split(len(corners), threads))
    return patches


def _codes(codes: NDArray[np.integer] | None, count: int, name: str) -> NDArray[np.int64]:
    if codes is None:
        return np.zeros(count, dtype=np.int64)
    found: NDArray[Any] = np.asarray(codes)
    if found.shape != (count,) or (count and not 0 <= found.min() <= found.max() <= 3):
        raise ValueError(f"{name} must be {count} numbers from 0 to 3")
    return found.astype(np.int64)
