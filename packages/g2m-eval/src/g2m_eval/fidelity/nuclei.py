"""Nuclei of each patch, by classical segmentation: how many, and how large."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage
from skimage.segmentation import watershed

from g2m_eval.errors import InputError
from g2m_eval.morphology import stain_densities

Segmenter = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (n, height, width, 3) to labels (n, height, width): 0 is background, each nucleus has its own."""

THRESHOLD = 0.7
"""Haematoxylin density of a nucleus: between cytoplasm (up to 0.4) and nuclei (from 1.0) of normalised slides."""
_SMOOTH_UM = 0.6
_APART_UM = 1.7  # least distance between the centres of two nuclei
_LEAST_UM2 = 3.0  # smaller than any nucleus's section that counts: dust, pixels of a rim
_CHUNK = 256
_NOTHING, _SQUARE = np.zeros((3, 3), dtype=int), np.ones((3, 3), dtype=int)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
_PLANE = np.stack([_NOTHING, _CROSS, _NOTHING])  # patches of one volume are not each other's neighbours


def measure_nuclei(
    patches: UInt8[np.ndarray, "n height width 3"],
    mpp: float,
    *,
    segment: Segmenter | None = None,
    threshold: float = THRESHOLD,
) -> pd.DataFrame:
    """Count and measure the nuclei of each patch.

    Parameters
    ----------
    patches
        RGB patches of a stain-normalised slide, or generated ones.
    mpp
        Microns per pixel of these patches. Counts depend on it: compare patches of one size only.
    segment
        Another segmentation, for example a trained model's; by default `segment_nuclei`.
    threshold
        Of the default one.

    Returns
    -------
    One row a patch: ``count`` (nuclei, those that the patch's edge cuts included) and ``size_um2`` (mean area of those
    that lie wholly inside; NaN without any).

    Raises
    ------
    InputError
        ``mpp`` is not positive, or the segmentation gives other shapes than the patches'.
    """
    if not mpp > 0:
        raise InputError(f"nuclei need the patches' microns per pixel, got {mpp}")
    counts, sizes = np.zeros(len(patches)), np.full(len(patches), np.nan)
    for start in range(0, len(patches), _CHUNK):
        part = slice(start, start + _CHUNK)
        images = patches[part]
        labels = segment_nuclei(images, mpp, threshold) if segment is None else np.asarray(segment(images))
        if labels.shape != images.shape[:3]:
            raise InputError(f"a segmentation gave labels of shape {labels.shape} for patches of {images.shape[:3]}")
        for row, plane in enumerate(labels, start):
            counts[row], sizes[row] = _measure(plane, mpp)
    return pd.DataFrame({"count": counts, "size_um2": sizes})


def segment_nuclei(
    patches: UInt8[np.ndarray, "n height width 3"], mpp: float, threshold: float = THRESHOLD
) -> Int[np.ndarray, "n height width"]:
    """Label nuclei: smoothed haematoxylin above a threshold, parted where they touch.

    By a watershed of the distance to the edge, from its maxima.
    The threshold is one for all patches: Otsu's, chosen in each, finds nuclei where there are none.
    """
    haematoxylin, _ = stain_densities(patches)
    sigma = _SMOOTH_UM / mpp
    mask = ndimage.gaussian_filter(haematoxylin, (0, sigma, sigma), mode="nearest", truncate=3.0) > threshold
    depth = np.stack([_depth(plane, mpp) for plane in mask]) if len(mask) else np.zeros(mask.shape)
    depth = ndimage.gaussian_filter(depth, (0, sigma, sigma), mode="nearest", truncate=3.0)
    reach = max(1, round(_APART_UM / mpp))
    peak = (ndimage.maximum_filter(depth, size=(1, 2 * reach + 1, 2 * reach + 1), mode="nearest") == depth) & mask
    seeds, _ = ndimage.label(peak, structure=np.stack([_NOTHING, _SQUARE, _NOTHING]))
    labels = watershed(-depth, seeds, connectivity=_PLANE, mask=mask)  # type: ignore[no-untyped-call]
    return np.asarray(labels, dtype=np.int64)


def _depth(mask: Bool[np.ndarray, "height width"], mpp: float) -> Float[np.ndarray, "height width"]:
    """Distance to the nearest pixel outside, um; even where there is none."""
    if mask.all():
        return np.ones(mask.shape)
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=mpp))


def _measure(labels: Int[np.ndarray, "height width"], mpp: float) -> tuple[float, float]:
    """Number of nuclei, and mean area of the whole ones."""
    names, area = np.unique(labels[labels > 0], return_counts=True)
    kept = area * mpp**2 >= _LEAST_UM2
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    whole = kept & ~np.isin(names, edge)
    size = float(area[whole].mean() * mpp**2) if whole.any() else float("nan")
    return float(kept.sum()), size
