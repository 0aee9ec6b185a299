"""What an image's header claims about its size, checked before anything is decoded.

A damaged header may announce a picture that no memory holds, and decoders would fill it with grey.
"""

import math
from typing import Any

SLACK = 1 << 26
"""Bytes that may be claimed whatever the file holds."""
PNG_MOST, JPEG_MOST, TIFF_MOST = 1100, 3000, 5000
"""Bytes of pixels that a stored byte can become: a PNG is deflated, a JPEG has six bits at least for 256 pixels."""
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def check_png(content: bytes) -> None:
    """Refuse a PNG that claims more pixels than it can hold, with a ValueError."""
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    bits = content[24] * PNG_CHANNELS.get(content[25], 4)
    _check(width * height * bits // 8, len(content), PNG_MOST)


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG that lacks its end or claims more pixels than it can hold, with a ValueError.

    Decoders fill what is missing with grey and say nothing.
    """
    position = 2
    while content[position : position + 1] == b"\xff" and content[position + 1 : position + 2] != b"\xda":
        if content[position + 1] in (0xC0, 0xC1, 0xC2):
            height, width = (int.from_bytes(content[position + at : position + at + 2], "big") for at in (5, 7))
            _check(height * width * content[position + 9], len(content), JPEG_MOST)
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    # inside the compressed data no such pair of bytes can occur, but a thumbnail before them has one
    if content.find(b"\xff\xd9", position) < 0:
        raise ValueError("its end is missing")


def check_tiff(series: Any, size: int) -> None:
    """Refuse a TIFF some of whose tiles (strips) are missing, beyond its end, or absurdly large, with a ValueError.

    Parameters
    ----------
    series
        The `tifffile.TiffPageSeries` to be read.
    size
        Of the file, bytes.
    """
    for page in series.levels[0].pages:
        if page is None:
            continue
        keyframe = page.keyframe
        offsets, counts = page.dataoffsets, page.databytecounts
        if not len(offsets) == len(counts) == (needed := math.prod(keyframe.chunked)):
            raise ValueError(f"it lists {len(offsets)} tiles or strips, and the image is made of {needed}")
        if any(offset + count > size for offset, count in zip(offsets, counts, strict=True)):
            raise ValueError("some of its pixels lie beyond the end of the file")
        if keyframe.compression != 1:
            _check(math.prod(keyframe.chunks) * keyframe.dtype.itemsize, max(counts), TIFF_MOST)


def _check(claimed: int, stored: int, most: int) -> None:
    if claimed > most * stored + SLACK:
        raise ValueError(f"it claims {claimed} bytes of pixels and holds {stored}")
