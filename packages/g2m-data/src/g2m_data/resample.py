"""The slide, resampled once to the resolution of a patch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.ahead import map_ahead
from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.slide import Slide
from g2m_data.stain import Stain, estimate_stain, normalise_stain

BAND = 512
"""Rows of the resampled slide worked on at once."""
COLUMNS = 512
"""Columns of the resampled slide worked on at once: few, so that what is transposed stays in the processor's cache."""
STRIP = 64
"""Rows normalised at once, few for the same reason: three times as fast as 1024."""
OVERVIEW = 2048
"""Longest side of the image that the stain is estimated on, pixels."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """From full-resolution pixels to pixels of the resampled slide."""

    scale: float
    """Pixels of the resampled slide per full-resolution pixel."""
    height: int
    width: int

    @classmethod
    def plan(cls, slide_height: int, slide_width: int, mpp: float, patch_um: float, patch_px: int) -> "Resampling":
        """Plan a slide's resampling to `patch_um / patch_px` microns per pixel; a last partial pixel is left out."""
        scale = mpp * patch_px / patch_um
        return cls(scale=scale, height=int(slide_height * scale + 1e-9), width=int(slide_width * scale + 1e-9))

    def corners(self, xy: NDArray[np.float64], patch_px: int) -> NDArray[np.int32]:
        """Top-left (row, column) of the patches whose centres are nearest to points of the slide.

        The centre of such a patch is within half a pixel, in x and in y, of the point. Patches may lie partly outside.
        """
        edge = (xy[:, ::-1] + 0.5) * self.scale
        return np.rint(edge - patch_px / 2).astype(np.int32)

    def inside(self, corners: NDArray[np.int32], patch_px: int) -> NDArray[np.bool_]:
        """Whether each patch lies wholly on the resampled slide."""
        last = np.array([self.height, self.width]) - patch_px
        return np.asarray(((corners >= 0) & (corners <= last)).all(axis=1))


def resample_slide(
    slide: Slide, plan: Resampling, out: NDArray[np.uint8], *, track: Track = silent, description: str = "Resampling"
) -> None:
    """Resample a slide band by band into `out`, uint8 (plan.height, plan.width, 3), in bounded memory.

    A pixel of the result is the mean over exactly the area it covers where the slide shrinks, bilinear where it grows.
    """
    tops = range(0, plan.height, BAND)
    spans = [(top, min(top + BAND, plan.height)) for top in tops]
    weights = [_axis_weights(*span, plan.scale, slide.height) for span in spans]
    sources = _source_bands(slide, [(first, first + down.shape[1]) for first, down in weights])

    def resample(item: tuple[tuple[int, int], tuple[int, sparse.csr_array], NDArray[np.uint8]]) -> None:
        (top, bottom), (_, down), band = item
        for left in range(0, plan.width, COLUMNS):
            right = min(left + COLUMNS, plan.width)
            first_col, across = _axis_weights(left, right, plan.scale, slide.width)
            tile = band[:, first_col : first_col + across.shape[1]].astype(np.float32)
            turned = cv2.transpose(_along_rows(down, tile))
            out[top:bottom, left:right] = cv2.convertScaleAbs(cv2.transpose(_along_rows(across, turned)))

    done = map_ahead(resample, zip(spans, weights, sources, strict=True))
    for _ in track(done, description=description, total=len(spans)):
        pass


def _source_bands(slide: Slide, spans: Sequence[tuple[int, int]]) -> Iterator[NDArray[np.uint8]]:
    """The slide's rows from `first` to `last` of every span, which run down it; no row of tiles is read twice."""
    begin, held = 0, np.zeros((0, slide.width, 3), dtype=np.uint8)
    for first, last in spans:
        held, begin = held[first - begin :], first
        end = begin + len(held)
        if end < last:
            whole = -(-last // slide.tile_rows) * slide.tile_rows
            held = np.concatenate([held, slide.read(end, min(whole, slide.height), 0, slide.width)])
        yield held[: last - first]


def normalise_slide(
    image: NDArray[np.uint8], *, track: Track = silent, description: str = "Normalising the stain"
) -> Stain:
    """Estimate the stain on the central 80 % of a resampled slide at low resolution, and normalise the slide in place.

    Raises
    ------
    InputError
        If there is no tissue on it.
    """
    height, width = image.shape[:2]
    top, left = height // 10, width // 10
    small = overview(image[top : height - top, left : width - left])
    # percentiles of every fourth of these pixels are the same, and take a fourth of the time
    stain = estimate_stain(small[::2, ::2] if max(small.shape) > OVERVIEW // 2 else small)

    def normalise(top: int) -> None:
        for start in range(top, min(top + BAND, height), STRIP):
            image[start : start + STRIP] = normalise_stain(np.ascontiguousarray(image[start : start + STRIP]), stain)

    tops = range(0, height, BAND)
    for _ in track(map_ahead(normalise, tops), description=description, total=len(tops)):
        pass
    return stain


def overview(image: NDArray[np.uint8], longest: int = OVERVIEW) -> NDArray[np.uint8]:
    """Shrink an image by a whole factor, by area, until its longest side is at most `longest` pixels."""
    factor = -(-max(image.shape[:2]) // longest)
    if factor == 1:
        return np.ascontiguousarray(image)
    height, width = image.shape[0] // factor, image.shape[1] // factor
    if not height or not width:
        raise InputError("the slide is far too narrow")
    rows = max(1, BAND // factor)
    parts = []
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        band = np.ascontiguousarray(image[start * factor : stop * factor, : width * factor])
        parts.append(cv2.resize(band, (width, stop - start), interpolation=cv2.INTER_AREA))
    return np.concatenate(parts)


def _along_rows(weights: sparse.csr_array, image: NDArray[Any]) -> NDArray[np.float32]:
    result = weights @ image.reshape(image.shape[0], -1)
    return np.asarray(result).reshape(-1, *image.shape[1:])


def _axis_weights(start: int, stop: int, scale: float, length: int) -> tuple[int, sparse.csr_array]:
    """First source pixel needed for resampled pixels `start` to `stop`, and weights (stop - start, source pixels).

    Shrinking: the overlap of each source pixel with the resampled pixel's extent. Growing: linear between the two
    centres around the resampled pixel's centre.
    """
    target = np.arange(start, stop)
    if scale <= 1:
        low, high = target / scale, np.minimum((target + 1) / scale, length)
        first = np.floor(low + 1e-9).astype(np.int64)
        taps = first[:, None] + np.arange(int(np.ceil(1 / scale)) + 1)
        weight = np.clip(np.minimum(taps + 1, high[:, None]) - np.maximum(taps, low[:, None]), 0, None)
    else:
        centre = np.clip((target + 0.5) / scale - 0.5, 0, length - 1)
        first = np.minimum(np.floor(centre).astype(np.int64), length - 1)
        taps = first[:, None] + np.arange(2)
        weight = np.stack([1 - (centre - first), centre - first], axis=1)
    weight /= weight.sum(axis=1, keepdims=True)
    taps = np.minimum(taps, length - 1)  # only taps of weight 0 can lie beyond the end
    origin = int(taps.min())
    row = np.repeat(np.arange(len(target)), taps.shape[1])
    shape = (len(target), int(taps.max()) - origin + 1)
    matrix = sparse.coo_array((weight.ravel().astype(np.float32), (row, taps.ravel() - origin)), shape=shape)
    return origin, matrix.tocsr()
