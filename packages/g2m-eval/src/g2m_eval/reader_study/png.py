"""PNG files that tell nothing but their pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB8 = (8, 2, 0, 0, 0)  # bits a sample, colour type, and the only values of compression, filter method, interlace


def plain_png(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Encode without compression, row filters or metadata: equal sizes in pixels are equal lengths in bytes.

    Real tissue and generated images compress differently well, so that the length of an ordinary PNG, which any
    browser shows, would tell many of them apart.
    """
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row after a 0: no filter
    rows[:, 1:] = image.reshape(height, 3 * width)
    return (
        SIGNATURE
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *_RGB8))
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), level=0))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
