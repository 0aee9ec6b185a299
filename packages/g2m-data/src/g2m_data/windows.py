"""Windows of Visium HD bins: which there are, and how much they hold together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2m_data.manifest import View


@dataclass(frozen=True, kw_only=True)
class BinGrid:
    """Where the bins under tissue lie; bin `i` of the storage is the `i`-th of them, row-major."""

    first_row: int
    """Array row of the grid's first row."""
    first_col: int
    """Array column of the grid's first column."""
    in_tissue: NDArray[np.bool_]
    """(rows, columns)."""
    rank: NDArray[np.int64]
    """(rows * columns + 1,): how many bins under tissue come before each place, row-major."""

    @classmethod
    def from_array(cls, array: NDArray[np.integer]) -> "BinGrid":
        """Build the grid of bins sorted by array row, then column.

        Parameters
        ----------
        array
            (n, 2) array row and column, both at least 0.
        """
        low, high = array.min(axis=0), array.max(axis=0)
        rows, cols = (int(n) for n in high - low + 1)
        mask = np.zeros(rows * cols, dtype=bool)
        place = (array[:, 0] - low[0]).astype(np.int64) * cols + (array[:, 1] - low[1])
        mask[place] = True
        rank = np.concatenate([[0], np.cumsum(mask)])
        return cls(first_row=int(low[0]), first_col=int(low[1]), in_tissue=mask.reshape(rows, cols), rank=rank)

    @classmethod
    def of_spots(cls, count: int) -> "BinGrid":
        """Spots as a grid of one row, whose windows of one bin are the spots."""
        return cls(first_row=0, first_col=0, in_tissue=np.ones((1, count), dtype=bool), rank=np.arange(count + 1))


def enumerate_windows(grid: BinGrid, view: View) -> NDArray[np.int64]:
    """Storage indices of the centre bins of all windows that lie under tissue: wholly (paper, Data) or as a view says.

    In row-major order. Windows start at multiples of the stride in array coordinates, so that which windows there are
    does not depend on where the tissue happens to begin.

    Parameters
    ----------
    grid
        Of the bins under tissue.
    view
        In these bins.
    """
    size, stride, half = view.window_bins, view.stride_bins, view.window_bins // 2
    rows, cols = grid.in_tissue.shape
    hang = 0 if view.all_bins else half
    top = np.arange(-hang + (hang - grid.first_row) % stride, rows - size + hang + 1, stride)
    left = np.arange(-hang + (hang - grid.first_col) % stride, cols - size + hang + 1, stride)
    if not len(top) or not len(left):
        return np.zeros(0, dtype=np.int64)
    covered = _box(_integral(grid.in_tissue), top[:, None], left[None, :], size)
    enough = covered >= view.min_coverage * size**2 - 1e-6
    row, col = np.nonzero(enough & grid.in_tissue[top + half][:, left + half])
    centres: NDArray[np.int64] = grid.rank[(top[row] + half) * cols + left[col] + half]
    return centres


def window_totals(
    grid: BinGrid, per_bin: NDArray[np.integer], centres: NDArray[np.int64], window_bins: int
) -> NDArray[np.int64]:
    """Sum a number per bin over windows, by one cumulative sum over the grid.

    Parameters
    ----------
    per_bin
        (bins,) in storage order.
    centres
        Storage indices of the windows' centre bins.
    """
    row, col = locate_bins(grid, centres)
    return total_boxes(grid, per_bin, row - window_bins // 2, col - window_bins // 2, window_bins)


def total_boxes(
    grid: BinGrid, per_bin: NDArray[np.integer], top: NDArray[np.int64], left: NDArray[np.int64], window_bins: int
) -> NDArray[np.int64]:
    """Sum a number per bin over windows given by their first rows and columns in the grid, as :func:`window_totals`."""
    image = np.zeros(grid.in_tissue.shape, dtype=np.int64)
    image[grid.in_tissue] = per_bin
    return _box(_integral(image), top, left, window_bins)


def locate_bins(grid: BinGrid, bins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column in the grid of bins given by their storage index."""
    place = np.searchsorted(grid.rank, bins, side="right") - 1
    row, col = np.divmod(place, grid.in_tissue.shape[1])
    return row, col


def _integral(image: NDArray[np.generic]) -> NDArray[np.int64]:
    """Cumulative sum over rows and columns, with a zero row and column in front."""
    total = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=np.int64)
    np.cumsum(image, axis=0, out=total[1:, 1:])
    np.cumsum(total[1:, 1:], axis=1, out=total[1:, 1:])
    return total


def _box(integral: NDArray[np.int64], top: NDArray[np.int64], left: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Sums over squares, of those that hang over the edge over what lies on the image."""
    rows, cols = integral.shape[0] - 1, integral.shape[1] - 1
    upper, lower = np.clip(top, 0, rows), np.clip(top + size, 0, rows)
    first, last = np.clip(left, 0, cols), np.clip(left + size, 0, cols)
    return integral[lower, last] - integral[upper, last] - integral[lower, first] + integral[upper, first]
