"""Compiled sums over windows of bins.

Bins are stored row-major, so the bins of one window row are neighbours in storage, and so are their non-zeros: a window
of 27 x 27 bins is 27 runs of bins, holes or none. Where a window begins a little to the right of the one before, 27
short runs enter and 27 leave.

An accumulator of 16 bits a gene nearly fits the processor's fastest cache. It is exact all the same: additions and
subtractions modulo 65,536 leave the right sum wherever that is smaller, and whether one is not shows in the sum over
genes. Loops that copy are written out, because Numba makes those from slices several times slower; entries are counted
without a sign, because it looks at every one with a sign whether it counts from the end.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from g2m_data.compiled import compiled

Array: TypeAlias = NDArray[Any]
Windows: TypeAlias = tuple[Array, Array, int, tuple[int, int], Array]
"""First row and column of each, which may hang over the edge; bins along a side; the grid's shape and rank."""
Matrix: TypeAlias = tuple[Array, Array, Array, Array]
"""`indptr`, `genes`, `counts` and `totals` of the bins' counts."""
Runs: TypeAlias = tuple[Array, Array]
"""First, and the one after the last, of every row of every window: of its bins, or of their non-zeros."""

SIXTEEN_BITS = 65_535


@compiled
def sum_into(windows: Windows, matrix: Matrix, out: Array) -> None:
    """Write sums over windows into `out`, (window, gene): int32, or uint16 if the caller knows that it holds them."""
    bins, follows = _runs(windows), _follows(windows)
    runs = _entries(bins, matrix)
    sums = np.zeros(out.shape[1], dtype=np.uint16)
    for window in range(len(out)):
        _move(sums, window, runs, follows[window], matrix)
        # whoever hands in 16 bits knows that they hold every total
        total = 0 if out.itemsize == 2 else _total(bins[0][window], bins[1][window], matrix[3])
        target = out[window]
        if total <= SIXTEEN_BITS or _sum(sums) == total:
            for gene in range(len(sums)):
                target[gene] = sums[gene]
        else:
            for gene in range(len(sums)):
                target[gene] = 0
            _add(target, runs[0][window], runs[1][window], matrix)


@compiled
def express_into(windows: Windows, matrix: Matrix, table: Array, out: Array, where: Array, much: Array) -> int:
    """Write what a table has for each count into `out`, float32 (window, gene), and list the counts beyond the table.

    Parameters
    ----------
    table
        (window, count): expression of 0, 1, 2 ... counts.
    where, much
        For counts beyond the table: their place in `out`, row-major, and how much they are; as long as that may take.

    Returns
    -------
    How many counts lie beyond the table.
    """
    bins, follows = _runs(windows), _follows(windows)
    runs = _entries(bins, matrix)
    sums = np.zeros(out.shape[1], dtype=np.uint16)
    used = 0
    for window in range(len(out)):
        _move(sums, window, runs, follows[window], matrix)
        total = _total(bins[0][window], bins[1][window], matrix[3])
        first = window * out.shape[1]
        if total <= SIXTEEN_BITS or _sum(sums) == total:
            used = _look_up(sums, table[window], out[window], first, where, much, used)
        else:
            wide = np.zeros(out.shape[1], dtype=np.int32)
            _add(wide, runs[0][window], runs[1][window], matrix)
            used = _look_up(wide, table[window], out[window], first, where, much, used)
    return used


@compiled
def total_rows_into(indptr: Array, counts: Array, out: Array) -> None:
    """Write the sum of each row of compressed rows."""
    for row in range(len(out)):
        total = 0
        for entry in range(indptr[row], indptr[row + 1]):
            total += counts[entry]
        out[row] = total


@compiled
def are_in_order(indptr: Array, genes: Array) -> bool:
    """Whether each row has its genes in order, none of them twice."""
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row] + 1, indptr[row + 1]):
            if genes[entry] <= genes[entry - 1]:
                return False
    return True


@compiled
def compress_into(dense: Array, indptr: Array, indices: Array, data: Array) -> None:
    """Write the non-zeros of `dense` where `indptr` says; takes one place more than there are non-zeros."""
    for row in range(len(dense)):
        place = indptr[row]
        for gene in range(dense.shape[1]):
            # written in any case and overwritten if it is zero: which ones are is not to be guessed
            indices[place], data[place] = gene, dense[row, gene]
            place += dense[row, gene] != 0


@compiled
def _runs(windows: Windows) -> Runs:
    """Bins of all rows of all windows, before anything is added: so the processor need not wait for each in turn."""
    top, left, size, shape, rank = windows
    begin, end = np.zeros((len(top), size), dtype=np.int64), np.zeros((len(top), size), dtype=np.int64)
    for window in range(len(top)):
        first, last = max(left[window], 0), min(left[window] + size, shape[1])
        for line in range(size):
            row = top[window] + line
            if 0 <= row < shape[0]:
                begin[window, line] = rank[row * shape[1] + first]
                end[window, line] = rank[row * shape[1] + last]
    return begin, end


@compiled
def _entries(bins: Runs, matrix: Matrix) -> Runs:
    """Non-zeros of all rows of all windows, for the same reason."""
    begin, end, indptr = np.empty_like(bins[0]), np.empty_like(bins[1]), matrix[0]
    for window in range(begin.shape[0]):
        for line in range(begin.shape[1]):
            begin[window, line], end[window, line] = indptr[bins[0][window, line]], indptr[bins[1][window, line]]
    return begin, end


@compiled
def _follows(windows: Windows) -> NDArray[np.bool_]:
    """Whether a window is reached from the one before more cheaply than from nothing."""
    top, left, size = windows[0], windows[1], windows[2]
    follows = np.zeros(len(top), dtype=np.bool_)
    for window in range(1, len(top)):
        step = left[window] - left[window - 1]
        follows[window] = top[window] == top[window - 1] and step >= 0 and 2 * step < size
    return follows


@compiled
def _move(sums: Array, window: int, runs: Runs, follows: bool, matrix: Matrix) -> None:
    """Turn the sums of the window before into this one's."""
    begin, end = runs
    if follows:
        _take(sums, begin[window - 1], begin[window], matrix)
        _add(sums, end[window - 1], end[window], matrix)
    else:
        for gene in range(len(sums)):
            sums[gene] = 0
        _add(sums, begin[window], end[window], matrix)


@compiled
def _add(sums: Array, begin: Array, end: Array, matrix: Matrix) -> None:
    _, genes, counts, _ = matrix
    for line in range(len(begin)):
        for entry in range(np.uint64(begin[line]), np.uint64(end[line])):
            sums[genes[entry]] += counts[entry]


@compiled
def _take(sums: Array, begin: Array, end: Array, matrix: Matrix) -> None:
    _, genes, counts, _ = matrix
    for line in range(len(begin)):
        for entry in range(np.uint64(begin[line]), np.uint64(end[line])):
            sums[genes[entry]] -= counts[entry]


@compiled
def _total(begin: Array, end: Array, totals: Array) -> int:
    total = 0
    for line in range(len(begin)):
        for row in range(begin[line], end[line]):
            total += totals[row]
    return total


@compiled
def _sum(sums: Array) -> int:
    total = 0
    for gene in range(len(sums)):
        total += sums[gene]
    return total


@compiled
def _look_up(sums: Array, table: Array, out: Array, first: int, where: Array, much: Array, used: int) -> int:
    for gene in range(len(sums)):
        count = sums[gene]
        if count < len(table):
            out[gene] = table[count]
        else:
            where[used], much[used] = first + gene, count
            used += 1
    return used
