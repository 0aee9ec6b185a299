"""The resampled slide on disk: OME-Zarr for people and viewers, a flat copy beside it for training."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from g2m_data.ahead import map_ahead
from g2m_data.errors import InputError
from g2m_data.progress import Track, silent

IMAGE = "image.zarr"
CACHE = Path("cache") / "slide.npy"
CHUNK = 1024
SMALLEST = 512
"""A pyramid ends with the first level whose sides are at most this long."""


def create_pixels(folder: Path, height: int, width: int) -> NDArray[np.uint8]:
    """Create the flat copy of a sample's slide, uint8 (height, width, 3), memory-mapped for writing."""
    path = folder / CACHE
    path.parent.mkdir(parents=True, exist_ok=True)
    return _map_new(path, height, width)


def open_pixels(folder: Path) -> NDArray[np.uint8]:
    """Open the flat copy of a sample's slide read-only; rebuild it from `image.zarr` if it is missing or cut short."""
    path = folder / CACHE
    try:
        level = zarr.open_array(folder / IMAGE / "0", mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder / IMAGE}: the dataset's slide is missing or damaged ({error}); build the dataset again"
        ) from None
    _, height, width = level.shape
    try:
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        if pixels.shape == (height, width, 3) and pixels.dtype == np.uint8:
            return pixels
    except (OSError, ValueError, EOFError):
        pass
    return _rebuild(path, level)


def write_image(
    folder: Path,
    pixels: NDArray[np.uint8],
    mpp: float,
    *,
    track: Track = silent,
    description: str = "Writing the image",
) -> None:
    """Write a resampled slide as OME-Zarr (zarr 3, OME-NGFF 0.5): axes c, y, x; each level half as wide as the last.

    Parameters
    ----------
    folder
        The sample's folder.
    pixels
        uint8 (height, width, 3).
    mpp
        Microns per pixel of `pixels`.
    track, description
        Show progress.
    """
    root = zarr.open_group(folder / IMAGE, mode="w", zarr_format=3)
    level = pixels
    datasets: list[Any] = []
    while True:
        name, factor = str(len(datasets)), 2 ** len(datasets)
        _write_level(root, name, level, track, f"{description}, 1/{factor}" if factor > 1 else description)
        # a pixel of a smaller level covers several of the first; its centre lies between theirs
        shift = (factor - 1) / 2 * mpp
        scale = {"type": "scale", "scale": [1.0, factor * mpp, factor * mpp]}
        translation = {"type": "translation", "translation": [0.0, shift, shift]}
        datasets.append({"path": name, "coordinateTransformations": [scale, translation]})
        if max(level.shape[:2]) <= SMALLEST or min(level.shape[:2]) < 2:
            break
        level = _halve(level)
    axes: list[Any] = [{"name": "c", "type": "channel"}] + [
        {"name": n, "type": "space", "unit": "micrometer"} for n in "yx"
    ]
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    channels: list[Any] = [
        {"label": label, "color": color, "active": True, "window": window}
        for label, color in (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    ]
    root.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"name": folder.name, "axes": axes, "datasets": datasets}],
        "omero": {"channels": channels, "rdefs": {"model": "color"}},
    }


def _write_level(root: zarr.Group, name: str, pixels: NDArray[np.uint8], track: Track, description: str) -> None:
    height, width = pixels.shape[:2]
    array = root.create_array(
        name,
        shape=(3, height, width),
        chunks=(3, min(CHUNK, height), min(CHUNK, width)),
        dtype="uint8",
        dimension_names=["c", "y", "x"],
        compressors=ZstdCodec(level=1),
    )

    def write(top: int) -> None:
        array[:, top : top + CHUNK] = np.stack(cv2.split(np.ascontiguousarray(pixels[top : top + CHUNK])))

    tops = range(0, height, CHUNK)
    for _ in track(map_ahead(write, tops), description=description, total=len(tops)):
        pass


def _halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    half = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, CHUNK):
        bottom = min(top + CHUNK, height)
        band = np.ascontiguousarray(pixels[2 * top : 2 * bottom, : 2 * width])
        half[top:bottom] = cv2.resize(band, (width, bottom - top), interpolation=cv2.INTER_AREA)
    return half


def _map_new(path: Path, height: int, width: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Map a new file of pixels; an OSError now where the disk has no room, not a crash when they are written."""
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(height, width, 3))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels


def _rebuild(path: Path, level: zarr.Array[Any]) -> NDArray[np.uint8]:
    _, height, width = level.shape
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        pixels = _map_new(temporary, height, width)
        for top in range(0, height, CHUNK):
            pixels[top : top + CHUNK] = np.moveaxis(np.asarray(level[:, top : top + CHUNK]), 0, 2)
        pixels.flush()
        temporary.replace(path)
    except OSError:  # a dataset on a read-only or full disk still serves, from memory
        return np.ascontiguousarray(np.moveaxis(np.asarray(level[:]), 0, 2))
    finally:
        temporary.unlink(missing_ok=True)
    reopened: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return reopened
