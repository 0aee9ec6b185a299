"""Rows of counts in another order than they come in, when not all of them fit into memory: an external sort."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.ahead import map_ahead
from g2m_data.progress import Track, silent

BLOCK = 1 << 22
"""Non-zeros of a block that is given, about."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Rows of one block on disk, sorted."""

    keys: NDArray[np.int64]
    """(rows,): ascending."""
    ends: NDArray[np.int64]
    """(rows + 1,): before which non-zero each row begins."""
    columns: tuple[int, np.dtype[np.integer]]
    counts: tuple[int, np.dtype[np.integer]]
    """Where they begin in the file, and as what they are kept."""


def sort_rows(
    blocks: Iterable[tuple[sparse.csr_array, NDArray[np.int64]]],
    folder: Path,
    *,
    track: Track = silent,
    description: str = "",
) -> Iterator[sparse.csr_array]:
    """Sort the rows of a matrix that comes in blocks by a key of each.

    Parameters
    ----------
    blocks
        int32 counts (rows, columns) in canonical form, and their keys: no two equal, those below 0 are left out.
    folder
        Where 2 to 6 bytes a non-zero lie meanwhile, in a file without a name, which is gone with the process.
    track, description
        Show progress of the second half: blocks are given once all have come.

    Yields
    ------
    int32 counts of the next rows, about `BLOCK` non-zeros at a time; a few blocks are in memory at once. Nothing where
    there is no row.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        runs, columns = [], 0
        for block, keys in blocks:
            runs.append(_write_run(file, block, keys))
            columns = block.shape[1]
        file.flush()
        bounds = _bounds(runs)
        spans = list(pairwise(bounds))
        yield from track(
            map_ahead(lambda span: _merge(file.fileno(), runs, span, columns), spans),
            description=description,
            total=len(spans),
        )


def _write_run(file: IO[bytes], block: sparse.csr_array, keys: NDArray[np.int64]) -> _Run:
    from g2m_data.row_kernels import take_rows

    order = np.argsort(keys)
    order = order[np.searchsorted(keys, 0, sorter=order) :]
    ends = np.concatenate([[0], np.cumsum(np.diff(block.indptr)[order], dtype=np.int64)])
    largest = (block.shape[1], int(block.data.max(initial=0)))
    columns, counts = (np.empty(ends[-1], np.min_scalar_type(some)) for some in largest)
    take_rows(block.indptr, order, (block.indices, block.data), (columns, counts))
    places = []
    for kept in (columns, counts):
        places.append((file.tell(), kept.dtype))
        file.write(kept.data)
    return _Run(keys=keys[order], ends=ends, columns=places[0], counts=places[1])


def _bounds(runs: list[_Run]) -> list[int]:
    """Keys at which the next block begins, so that each has about `BLOCK` non-zeros; the last is beyond all."""
    keys = np.concatenate([run.keys for run in runs]) if runs else np.zeros(0, dtype=np.int64)
    if not len(keys):
        return []
    lengths = np.concatenate([np.diff(run.ends) for run in runs])
    order = np.argsort(keys)
    before = np.cumsum(lengths[order]) - lengths[order]
    firsts = np.searchsorted(before, np.arange(0, int(lengths.sum()) + 1, BLOCK))
    starts = keys[order[np.unique(firsts[firsts < len(keys)])]]
    return [*starts.tolist(), int(keys[order[-1]]) + 1]


def _merge(file: int, runs: list[_Run], span: tuple[int, int], columns: int) -> sparse.csr_array:
    """Read the rows whose keys lie within a span, and put each in its place."""
    from g2m_data.row_kernels import place_rows

    limits = [np.searchsorted(run.keys, span) for run in runs]
    parts = [(run, int(first), int(last)) for run, (first, last) in zip(runs, limits, strict=True)]
    lengths = np.concatenate([np.diff(run.ends[first : last + 1]) for run, first, last in parts])
    order = np.argsort(np.concatenate([run.keys[first:last] for run, first, last in parts]))
    indptr = np.concatenate([[0], np.cumsum(lengths[order])])
    begins = np.empty(len(order), dtype=np.int64)
    begins[order] = indptr[:-1]
    found = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.int32)
    row = 0
    for run, first, last in parts:
        start, stop = int(run.ends[first]), int(run.ends[last])
        values = (_read(file, run.columns, start, stop), _read(file, run.counts, start, stop))
        place_rows(run.ends[first : last + 1] - start, begins[row : row + last - first], values, found)
        row += last - first
    return sparse.csr_array((found[1], found[0], indptr.astype(np.int32)), shape=(len(order), columns))


def _read(file: int, place: tuple[int, np.dtype[np.integer]], start: int, stop: int) -> NDArray[np.integer]:
    """Read part of a run; threads do so side by side, which is why the file has no position of its own here."""
    offset, dtype = place
    wanted = (stop - start) * dtype.itemsize
    content = os.pread(file, wanted, offset + start * dtype.itemsize)
    if len(content) < wanted:  # one call gives at most 2 GiB
        raise OSError(f"read {len(content)} bytes of {wanted} of a temporary file")
    return np.frombuffer(content, dtype=dtype)
