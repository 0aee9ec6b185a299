"""Barcodes of a whole array, found among one another without a hash table of eleven million strings."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_DENSE = 8
"""Numbers that barcodes could be, for each there is, up to which a table of all of them is made."""


def find_rows(listed: NDArray[np.bytes_], places: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Find where a matrix lists each place.

    Parameters
    ----------
    listed
        (rows,) barcodes of the matrix.
    places
        Barcodes of the positions, arrow's binary strings.

    Returns
    -------
    (places,) the row of each, -1 where there is none; and those listed that are not among the places.
    """
    position = find_in_order(listed, places)
    unknown = pa.array([], pa.binary())
    rows = np.arange(len(listed))
    if position is None:
        barcodes = as_arrow(listed)
        found = pc.index_in(barcodes, value_set=places)
        unknown = barcodes.filter(pc.is_null(found))
        rows, position = rows[~found.is_null().to_numpy(zero_copy_only=False)], found.drop_null().to_numpy()
    row = np.full(len(places), -1, dtype=np.int64)
    row[position] = rows
    return row, unknown


def as_arrow(barcodes: NDArray[np.bytes_]) -> pa.Array:
    """Barcodes as arrow's binary strings; where all are of one length, without a Python object for each."""
    width = barcodes.dtype.itemsize
    if not width or not len(barcodes):
        return pa.array(barcodes.tolist(), pa.binary())
    letters = np.ascontiguousarray(barcodes).view(np.uint8).reshape(len(barcodes), width)
    if not letters[:, -1].all():  # some are shorter
        return pa.array(barcodes.tolist(), pa.binary())
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(barcodes), [None, pa.py_buffer(letters)])
    return fixed.cast(pa.binary())


def find_in_order(barcodes: NDArray[np.bytes_], among: pa.Array) -> NDArray[np.int64] | None:
    """Find barcodes among others that are of one length and in alphabetical order, as those of bins are.

    The letters that differ are read as digits of a number, which keeps the order.

    Parameters
    ----------
    barcodes
        (n,) what to find.
    among
        Arrow's binary strings.

    Returns
    -------
    (n,) the place of each; None where the barcodes are of another kind or some are not there: ask a hash table.
    """
    width = barcodes.dtype.itemsize
    if not len(barcodes) or not width:
        return None
    try:
        fixed = among.cast(pa.binary(width))
    except pa.ArrowException:
        return None
    letters = np.frombuffer(fixed.buffers()[1], np.uint8)[fixed.offset * width :][: len(among) * width]
    theirs = letters.reshape(len(among), width)
    ours = np.ascontiguousarray(barcodes).view(np.uint8).reshape(len(barcodes), width)
    low, high = theirs.min(axis=0), theirs.max(axis=0)
    base = high.astype(np.int64) - low + 1
    if np.prod(base.astype(np.float64)) > 2**62 or (ours < low).any() or (ours > high).any():
        return None
    numbers = _as_numbers(theirs, low, base)
    if not (np.diff(numbers) > 0).all():
        return None
    wanted = _as_numbers(ours, low, base)
    if np.prod(base) <= _DENSE * len(numbers):
        # bins of a matrix are in no order, and one look into a table is a tenth of a search
        table = np.full(np.prod(base), -1, dtype=np.int32)
        table[numbers] = np.arange(len(numbers), dtype=np.int32)
        place = table[wanted].astype(np.int64)
        return None if (place < 0).any() else place
    place = np.searchsorted(numbers, wanted)
    # what is beyond the last is not there
    found = place < len(numbers)
    if not found.all() or (numbers[place] != wanted).any():
        return None
    return place


def _as_numbers(letters: NDArray[np.uint8], low: NDArray[np.uint8], base: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers = np.zeros(len(letters), dtype=np.int64)
    for column in np.flatnonzero(base > 1).tolist():
        numbers *= base[column]
        numbers += letters[:, column] - low[column]
    return numbers
