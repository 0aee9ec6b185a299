"""Compiled copies of compressed rows. Loops are written out, because Numba makes those from slices slower."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

from g2m_data.compiled import compiled

Array: TypeAlias = NDArray[Any]


@compiled
def take_rows(indptr: Array, order: Array, values: tuple[Array, Array], out: tuple[Array, Array]) -> None:
    """Copy rows of two arrays in the given order, one after the other."""
    indices, data = values
    to_indices, to_data = out
    place = 0
    for row in order:
        for entry in range(indptr[row], indptr[row + 1]):
            to_indices[place] = indices[entry]
            to_data[place] = data[entry]
            place += 1


@compiled
def place_rows(ends: Array, begins: Array, values: tuple[Array, Array], out: tuple[Array, Array]) -> None:
    """Copy consecutive rows of two arrays, of which the first begins at 0, to where each of them is to begin."""
    indices, data = values
    to_indices, to_data = out
    for row in range(len(begins)):
        place = begins[row]
        for entry in range(ends[row], ends[row + 1]):
            to_indices[place] = indices[entry]
            to_data[place] = data[entry]
            place += 1
