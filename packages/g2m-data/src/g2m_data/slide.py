"""Whole-slide images: opened lazily where their format allows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from g2m_data.ahead import map_ahead
from g2m_data.errors import InputError
from g2m_data.image_claims import check_jpeg, check_png, check_tiff

JPEG = (6, 7, 34892, 33007)
"""Compressions of TIFF whose tiles share tables."""
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, kw_only=True)
class Slide:
    """A slide of `height` x `width` full-resolution pixels, RGB."""

    path: Path
    height: int
    width: int
    _read: Callable[[slice, slice], NDArray[np.uint8]]
    tile_rows: int = 1
    """Rows that are decoded together, whichever of them are asked for: those of a tile or a strip."""

    def read(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.uint8]:
        """Read rows `top` to `bottom` and columns `left` to `right` (ends excluded) as uint8 (height, width, 3).

        Raises
        ------
        InputError
            If that part of the file is damaged.
        """
        try:
            return self._read(slice(top, bottom), slice(left, right))
        except Exception as error:  # decoders raise whatever they like; the user's remedy is the same
            raise InputError(
                f"{self.path}: cannot be decoded near row {top}, column {left} ({_first_line(error)})"
            ) from None


def open_slide(path: Path) -> Slide:
    """Open a TIFF, BigTIFF, OME-TIFF or SVS (read tile by tile), or a JPEG or PNG (decoded whole).

    An orientation tag in a JPEG is not applied, because the spots' coordinates refer to the pixels as stored.

    Raises
    ------
    InputError
        If the file is none of these, is damaged, or is not an RGB or grey image.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        if magic[:4] in TIFF_MAGIC:
            return _open_tiff(path)
        if magic[:2] == b"\xff\xd8":
            check_jpeg(content := path.read_bytes())
            return _whole(path, imagecodecs.jpeg_decode(content))
        if magic == b"\x89PNG\r\n\x1a\n":
            check_png(content := path.read_bytes())
            return _whole(path, imagecodecs.png_decode(content))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: truncated or damaged image ({_first_line(error)})") from None
    if magic[:2] == b"\x1f\x8b":
        raise InputError(f"{path}: a gzip'd file, and a slide is read here and there; unpack it first, with gunzip")
    raise InputError(f"{path}: not a TIFF, BigTIFF, OME-TIFF, SVS, JPEG or PNG file")


def _open_tiff(path: Path) -> Slide:
    tiff = tifffile.TiffFile(path)
    series = max(tiff.series, key=lambda candidate: candidate.size)
    axes, shape = series.axes, series.shape
    # singleton axes (time, depth, …) are dropped; what must remain is Y, X and perhaps one of samples
    kept = [axis for axis, length in zip(axes, shape, strict=True) if axis in "YX" or length != 1]
    samples = [axis for axis in kept if axis not in "YX"]
    if "Y" not in kept or "X" not in kept or len(samples) > 1:
        raise InputError(f"{path}: expected one RGB image, found axes {axes} of shape {shape}")
    check_tiff(series, path.stat().st_size)
    array = zarr.open(series.aszarr(level=0, fillvalue=_white(series.keyframe)), mode="r")
    if isinstance(array, zarr.Group):  # some pyramids come as a group whatever the level asked for
        array = array["0"]
    if not isinstance(array, zarr.Array):
        raise InputError(f"{path}: expected one RGB image")
    store = array
    order = [kept.index(axis) for axis in ("Y", "X", *samples)]

    def read(rows: slice, columns: slice) -> NDArray[np.uint8]:
        where = tuple({"Y": rows, "X": columns}.get(axis, slice(None) if axis in samples else 0) for axis in axes)
        return _rgb(path, np.asarray(store[where]).transpose(order))

    height, width = shape[axes.index("Y")], shape[axes.index("X")]
    page = series.keyframe
    is_plain = len(series.levels[0].pages) == 1 and page.planarconfig == 1 and axes in ("YX", "YXS")
    chosen: Callable[[slice, slice], NDArray[np.uint8]] = read
    tile_rows = page.tilelength if page.is_tiled else page.rowsperstrip
    if is_plain and page.is_tiled:
        chosen = _tile_reader(path, page)
    elif is_plain and page.is_final and page.parent is tiff:
        chosen, tile_rows = _row_reader(path, page), 1
    chosen(slice(0, 1), slice(0, 1))  # a wrong kind of image is refused now
    return Slide(path=path, height=height, width=width, _read=chosen, tile_rows=max(1, min(tile_rows, height)))


def _tile_reader(path: Path, page: tifffile.TiffPage) -> Callable[[slice, slice], NDArray[np.uint8]]:
    """Decode the tiles of an ordinary page in threads, twice as fast as one after the other through zarr."""
    down, across = page.tilelength, page.tilewidth
    n_across = -(-page.imagewidth // across)
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEG else {}

    def read(rows: slice, columns: slice) -> NDArray[np.uint8]:
        shape = (rows.stop - rows.start, columns.stop - columns.start, page.samplesperpixel)
        out = np.empty(shape, page.dtype)
        numbers = [
            row * n_across + column
            for row in range(rows.start // down, -(-rows.stop // down))
            for column in range(columns.start // across, -(-columns.stop // across))
        ]
        stored = page.parent.filehandle.read_segments(
            [page.dataoffsets[n] for n in numbers], [page.databytecounts[n] for n in numbers], numbers, sort=False
        )

        def place(segment: Any) -> None:
            tile, where, shape = page.decode(*segment, **tables)
            long, wide = (shape if tile is None else tile.shape)[1:3]
            top, left = where[2] - rows.start, where[3] - columns.start
            high, low = max(top, 0), min(top + long, len(out))
            near, far = max(left, 0), min(left + wide, out.shape[1])
            if tile is None:  # never written: glass
                out[high:low, near:far] = _white(page)
            else:
                out[high:low, near:far] = tile[0, high - top : low - top, near - left : far - left]

        for _ in map_ahead(place, stored):
            pass
        return _rgb(path, out)

    return read


def _row_reader(path: Path, page: tifffile.TiffPage) -> Callable[[slice, slice], NDArray[np.uint8]]:
    """Read rows of an uncompressed page, which for other readers may be one strip as large as the slide."""
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    across = page.imagewidth * page.samplesperpixel

    def read(rows: slice, columns: slice) -> NDArray[np.uint8]:
        first, count = rows.start * across, (rows.stop - rows.start) * across
        flat = np.fromfile(path, dtype, count, offset=page.dataoffsets[0] + first * dtype.itemsize)
        image = flat.reshape(rows.stop - rows.start, page.imagewidth, page.samplesperpixel)
        return _rgb(path, image[:, columns].astype(page.dtype, copy=False))

    return read


def _white(page: tifffile.TiffPage) -> int:
    return np.iinfo(page.dtype).max if np.issubdtype(page.dtype, np.integer) else 1


def _whole(path: Path, image: NDArray[np.uint8]) -> Slide:
    def read(rows: slice, columns: slice) -> NDArray[np.uint8]:
        return _rgb(path, image[rows, columns])

    read(slice(0, 1), slice(0, 1))
    return Slide(path=path, height=image.shape[0], width=image.shape[1], _read=read)


def _rgb(path: Path, image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)  # type: ignore[operator]
    if image.dtype != np.uint8:
        raise InputError(f"{path}: expected 8 or 16 bits a channel, found {image.dtype}")
    if image.ndim == 2:
        image = image[..., None]
    channels = image.shape[2]
    if channels == 1:
        image = np.repeat(image, 3, axis=2)
    elif channels not in (3, 4):
        raise InputError(f"{path}: expected an RGB image, found {channels} channels")
    return np.ascontiguousarray(image[..., :3])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
