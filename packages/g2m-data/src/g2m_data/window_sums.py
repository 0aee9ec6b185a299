"""What windows of bins sum to: any of them, or all of them in a stream; exact both ways."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.bin_counts import BinCounts
from g2m_data.threads import THREADS, run_ahead, run_in_threads, split
from g2m_data.windows import BinGrid, locate_bins, total_boxes

if TYPE_CHECKING:
    from g2m_data.window_kernels import Matrix, Windows

BLOCK = 64
"""Windows summed at once in a stream: so few that their sums are read again from the processor's cache."""
TABLE = 64
"""Counts whose expression is looked up rather than computed; few genes of a window have more."""


@dataclass(frozen=True, kw_only=True)
class WindowSums:
    """Windows over bins, and the bins' counts."""

    grid: BinGrid
    counts: BinCounts
    """(bins, genes), rows in storage order."""
    window_bins: int
    top: NDArray[np.int64]
    """(window,): first row of each in the grid; it may hang over the edge."""
    left: NDArray[np.int64]

    @classmethod
    def around(cls, grid: BinGrid, counts: BinCounts, centres: NDArray[np.int64], window_bins: int) -> "WindowSums":
        """Windows by the storage indices of their centre bins."""
        row, col = locate_bins(grid, centres)
        half = window_bins // 2
        return cls(grid=grid, counts=counts, window_bins=window_bins, top=row - half, left=col - half)

    def __len__(self) -> int:
        return len(self.top)

    @cached_property
    def totals(self) -> NDArray[np.int64]:
        """(window,): sum over all genes of each."""
        return total_boxes(self.grid, self.counts.totals, self.top, self.left, self.window_bins)

    def sum(
        self, index: NDArray[np.int64], *, out: NDArray[np.int32] | None = None, threads: int = THREADS
    ) -> NDArray[np.int32]:
        """Sum the counts of some windows: any, in any order, exactly.

        Windows that follow each other along a row share their work.

        Parameters
        ----------
        index
            (n,) which of the windows.
        out
            Where to write, int32 (n, genes); saves the time that fresh memory takes.
        threads
            How many share the windows.

        Returns
        -------
        int32 (n, genes), dense; a bin that is not there counts nothing.
        """
        from g2m_data.window_kernels import sum_into  # compiled: numba takes half a second to import

        sums = np.empty((len(index), self.counts.n_genes), dtype=np.int32) if out is None else out
        matrix = self._matrix

        def work(part: slice) -> None:
            sum_into(self._where(index[part]), matrix, sums[part])

        run_in_threads(work, split(len(index), threads))
        return sums

    def express(
        self,
        index: NDArray[np.int64],
        factor: NDArray[np.float32],
        out: NDArray[np.float32],
        *,
        threads: int = THREADS,
    ) -> None:
        """Write log1p of scaled sums of some windows into `out`, float32 (n, genes).

        Parameters
        ----------
        index
            (n,) which of the windows.
        factor
            (n,) what their counts are multiplied by.
        out
            Where to write.
        threads
            How many share the windows.
        """
        from g2m_data.window_kernels import express_into

        # a logarithm costs more than a look, and most counts are small
        table = np.log1p(np.arange(TABLE) * factor[:, None]).astype(np.float32)

        matrix, totals = self._matrix, self.totals[index]

        def work(part: slice) -> None:
            most = int(totals[part].sum()) // TABLE
            where, much = np.empty(most, np.int64), np.empty(most, np.int32)
            used = express_into(self._where(index[part]), matrix, table[part], out[part], where, much)
            row, gene = np.divmod(where[:used], self.counts.n_genes)
            out[part][row, gene] = np.log1p(much[:used] * factor[part][row])

        run_in_threads(work, split(len(index), threads))

    def stream(
        self, *, block: int = BLOCK, threads: int = THREADS
    ) -> Iterator[tuple[slice, NDArray[np.uint16] | NDArray[np.int32]]]:
        """Sum all windows, a block at a time: nothing as large as windows x genes is ever held.

        Where a window begins less than half its width to the right of the one before, only the bins that enter and
        those that leave are read.

        Parameters
        ----------
        block
            Windows in a block.
        threads
            Threads that work ahead of the caller.

        Yields
        ------
        Which of the windows these are, and their sums, dense (windows, genes): uint16 where all windows' totals are
        below 65,536, else int32. **The array is valid until the next block is asked for**: copy what is to be kept.
        """
        from g2m_data.window_kernels import SIXTEEN_BITS, sum_into

        matrix = self._matrix
        kind = np.uint16 if self.totals.max(initial=0) <= SIXTEEN_BITS else np.int32

        def work(part: slice, buffer: NDArray[Any]) -> NDArray[Any]:
            sums = buffer[: part.stop - part.start]
            sum_into(self._where(part), matrix, sums)
            return sums

        parts = [slice(start, min(start + block, len(self))) for start in range(0, len(self), block)]
        buffers = [np.empty((min(block, len(self)), self.counts.n_genes), dtype=kind) for _ in range(threads + 1)]
        yield from run_ahead(work, parts, buffers, threads)

    def _where(self, index: slice | NDArray[np.int64]) -> "Windows":
        return self.top[index], self.left[index], self.window_bins, self.grid.in_tissue.shape, self.grid.rank

    @property
    def _matrix(self) -> "Matrix":
        return self.counts.indptr, self.counts.genes, self.counts.counts, self.counts.totals


def compress(dense: NDArray[np.integer]) -> sparse.csr_array:
    """Turn dense sums into a CSR matrix in canonical form, int32 (n, genes), several times faster than scipy does."""
    from g2m_data.window_kernels import compress_into

    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(dense, axis=1))])
    kind = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    indices, data = np.empty(indptr[-1] + 1, dtype=kind), np.empty(indptr[-1] + 1, dtype=np.int32)
    compress_into(dense, indptr, indices, data)
    return sparse.csr_array((data[:-1], indices[:-1], indptr.astype(kind)), shape=dense.shape)
