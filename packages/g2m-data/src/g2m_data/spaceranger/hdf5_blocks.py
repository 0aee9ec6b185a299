"""Parts of one-dimensional HDF5 arrays, faster than h5py reads them: it holds a lock while it inflates a chunk."""

from typing import Any

import h5py
import imagecodecs
import numpy as np
from numpy.typing import NDArray

INFLATED = ({"gzip"}, {"gzip", "shuffle"})
"""Filters that are undone here; arrays with others are read by h5py."""


def read_block(dataset: h5py.Dataset, start: int, stop: int) -> NDArray[Any]:
    """Read `dataset[start:stop]`; several threads may do so at the same time.

    Raises
    ------
    RuntimeError
        If a chunk is damaged, as h5py itself, among others.
    """
    if start == stop or not _is_inflated_here(dataset):
        part: NDArray[Any] = dataset[start:stop]
        return part
    (length,) = dataset.chunks
    block = np.empty(stop - start, dtype=dataset.dtype)
    for first in range(start // length * length, stop, length):
        low, high = max(first, start), min(first + length, stop)
        chunk = _read_chunk(dataset, first, length)
        block[low - start : high - start] = dataset[low:high] if chunk is None else chunk[low - first : high - first]
    return block


def _is_inflated_here(dataset: h5py.Dataset) -> bool:
    filters = dataset.id.get_create_plist()
    names = {h5py.h5z.FILTER_DEFLATE: "gzip", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
    used = {names.get(filters.get_filter(number)[0], "") for number in range(filters.get_nfilters())}
    return dataset.ndim == 1 and dataset.chunks is not None and used in INFLATED and dataset.dtype.kind in "iuf"


def _read_chunk(dataset: h5py.Dataset, first: int, length: int) -> NDArray[Any] | None:
    """One chunk, inflated; None where it was stored in another way than the others, or never."""
    if dataset.id.get_chunk_info_by_coord((first,)).byte_offset is None:
        return None
    skipped, packed = dataset.id.read_direct_chunk((first,))
    if skipped:
        return None
    size = dataset.dtype.itemsize
    plain = imagecodecs.deflate_decode(packed, out=length * size)
    if len(plain) != length * size:
        raise RuntimeError(f"a chunk of {len(plain)} bytes instead of {length * size}")
    if dataset.shuffle:
        turned = np.frombuffer(plain, dtype=np.uint8).reshape(size, length).T
        plain = np.ascontiguousarray(turned).tobytes()
    values: NDArray[Any] = np.frombuffer(plain, dtype=dataset.dtype)
    return values
