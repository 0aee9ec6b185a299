"""A section's counts in memory, as small as they go."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2m_data.count_store import stored_section

AT_ONCE = 1 << 22
"""Non-zeros read at once, about."""


@dataclass(frozen=True, kw_only=True)
class BinCounts:
    """Counts of bins or spots in compressed rows; of a whole slide about 3 bytes a non-zero where scipy needs 8."""

    indptr: NDArray[np.int64]
    """(n + 1,): where each row begins, and where the last ends."""
    genes: NDArray[np.uint16] | NDArray[np.int32]
    """Column of each non-zero; 16 bits hold those of a panel of up to 65,536 genes."""
    counts: NDArray[np.unsignedinteger] | NDArray[np.int32]
    """The non-zeros: uint8, uint16 or int32, whichever is the smallest that holds them all."""
    n_genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and genes."""
        return len(self.indptr) - 1, self.n_genes

    @property
    def nnz(self) -> int:
        """How many non-zeros there are."""
        return len(self.counts)

    @cached_property
    def totals(self) -> NDArray[np.int64]:
        """(n,): counts of all genes of each row."""
        from g2m_data.window_kernels import total_rows_into

        totals = np.empty(self.shape[0], dtype=np.int64)
        total_rows_into(self.indptr, self.counts, totals)
        return totals


def read_bin_counts(path: Path, n_genes: int) -> BinCounts:
    """Read a stored section's counts, block by block, so that they never lie in memory as wide as they are stored.

    Parameters
    ----------
    path
        Its `spots.zarr` or `bins.zarr`, see :mod:`g2m_data.count_store`.
    n_genes
        Genes of the dataset's panel.

    Raises
    ------
    InputError
        If it is missing or damaged, parts that were lost and read as zeros included.
    """
    from g2m_data.window_kernels import are_in_order

    with stored_section(path) as group:
        stored: Any = group["X"]
        expected = np.asarray(group["obs/total_counts"][:])  # type: ignore[index]
        shape = tuple(int(n) for n in stored.attrs["shape"])
        if shape != (len(expected), n_genes):
            raise ValueError(f"{shape} instead of {(len(expected), n_genes)} places and genes")
        indptr = np.asarray(stored["indptr"][:], dtype=np.int64)
        genes, counts = _read_genes(stored["indices"], n_genes), _read_counts(stored["data"])
        is_whole = len(indptr) == shape[0] + 1 and indptr[0] == 0 and len(genes) == len(counts) == indptr[-1]
        if not is_whole or (np.diff(indptr) < 0).any():
            raise ValueError("rows do not meet")
        if not are_in_order(indptr, genes):
            raise ValueError("genes out of order")
        read = BinCounts(indptr=indptr, genes=genes, counts=counts, n_genes=n_genes)
        if not np.array_equal(read.totals, expected):
            raise ValueError("counts that do not add up")
    return read


def _read_genes(stored: Any, n_genes: int) -> NDArray[Any]:
    genes = np.empty(stored.shape[0], dtype=_gene_type(n_genes))
    for place in _blocks(stored):
        block = np.asarray(stored[place])
        # compiled code trusts these
        if len(block) and (int(block.min()) < 0 or int(block.max()) >= n_genes):
            raise ValueError(f"a column beyond its {n_genes} genes")
        genes[place] = block
    return genes


def _read_counts(stored: Any) -> NDArray[Any]:
    counts = np.empty(stored.shape[0], dtype=np.uint8)
    for place in _blocks(stored):
        block = np.asarray(stored[place])
        if len(block) and int(block.min()) < 1:  # none is stored: what was lost is read as zeros
            raise ValueError("a count below 1")
        if (wanted := _count_type(int(block.max(initial=0)))).itemsize > counts.itemsize:
            counts = counts.astype(wanted)
        counts[place] = block
    return counts


def _blocks(stored: Any) -> list[slice]:
    """Whole chunks, so that none is decoded twice."""
    chunk = int((stored.shards or stored.chunks)[0])
    step = max(chunk, AT_ONCE // chunk * chunk)
    return [slice(start, min(start + step, stored.shape[0])) for start in range(0, stored.shape[0], step)]


def _gene_type(n_genes: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if n_genes <= 1 << 16 else np.int32)


def _count_type(largest: int) -> np.dtype[Any]:
    if largest > np.iinfo(np.int32).max:
        raise ValueError(f"a count of {largest}")
    return np.dtype(np.uint8 if largest < 1 << 8 else np.uint16 if largest < 1 << 16 else np.int32)
