"""Compiled reading of patches.

Loops are written for what the compiler makes of them: it converts a line of pixels in one go only if it runs forwards,
and reads columns fastest one colour after the other, from a table.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2m_data.compiled import compiled

Array = NDArray[Any]
HALF = np.float32(127.5)
ONE = np.float32(1)


@compiled
def read_into(lines: Array, corners: Array, flips: Array, turns: Array, table: Array, out: Array) -> None:
    """Write patches into `out`, float32 (n, 3, size, size), flipped and then turned.

    Parameters
    ----------
    lines
        The slide, uint8 (height, 3 * width).
    corners
        (n, 2): top-left row and column.
    flips, turns
        (n,), see :func:`g2m_data.patches.read_patches`.
    table
        (256,): what becomes of each grey level.
    """
    line = np.empty((3, out.shape[3]), dtype=np.float32)
    for number in range(len(out)):
        row, first = corners[number, 0], 3 * corners[number, 1]
        turn = turns[number]
        backwards = (flips[number] & 1 != 0) != (turn == 1 or turn == 2)
        upwards = (flips[number] & 2 != 0) != (turn >= 2)
        if turn & 1:
            _read_columns(lines, row, first, backwards, upwards, table, out[number])
        else:
            _read_rows(lines, row, first, backwards, upwards, line, out[number])


@compiled
def _read_rows(lines: Array, row: int, first: int, backwards: bool, upwards: bool, line: Array, out: Array) -> None:
    size = out.shape[1]
    for i in range(size):
        source = row + size - 1 - i if upwards else row + i
        pixels = lines[source, first : first + 3 * size]
        if backwards:
            _convert(pixels, line[0], line[1], line[2])
            for colour in range(3):
                _reverse(line[colour], out[colour, i])
        else:
            _convert(pixels, out[0, i], out[1, i], out[2, i])


@compiled
def _convert(pixels: Array, red: Array, green: Array, blue: Array) -> None:
    for j in range(len(red)):
        red[j] = np.float32(pixels[3 * j]) / HALF - ONE
        green[j] = np.float32(pixels[3 * j + 1]) / HALF - ONE
        blue[j] = np.float32(pixels[3 * j + 2]) / HALF - ONE


@compiled
def _reverse(line: Array, out: Array) -> None:
    last = len(out) - 1
    for j in range(len(out)):
        out[j] = line[last - j]


@compiled
def _read_columns(lines: Array, row: int, first: int, backwards: bool, upwards: bool, table: Array, out: Array) -> None:
    size = out.shape[1]
    patch = lines[row : row + size, first : first + 3 * size]
    start, step = (size - 1, -1) if upwards else (0, 1)
    for colour in range(3):
        for i in range(size):
            target = out[colour, i]
            column = 3 * (size - 1 - i if backwards else i) + colour
            for j in range(size):
                target[j] = table[patch[start + step * j, column]]
