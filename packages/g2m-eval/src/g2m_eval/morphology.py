"""Image statistics by ordinary image processing, for patches whose stains were brought to Macenko's reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from g2m_eval.errors import InputError
from g2m_eval.resize import resize_patches

STATISTICS = (
    "nuclei_per_mm2",
    "nuclear_share",
    "lumen_share",
    "lipid_share",
    "eosin_density",
    "haematoxylin_density",
    "tubule_diameter_um",
    "collagen_share",
)
WORKING_MPP = 0.86
"""Finest scale at which patches are measured, µm per px: finer ones are averaged down to it first, so that a patch of
128 px and the same patch at 64 px give the same numbers."""

_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])  # haematoxylin, eosin: Macenko's reference
_WHITE = 240.0
_CHUNK = 256
_WHITE_DENSITY = 0.22  # optical density in green below which nothing is stained
_NUCLEUS_DENSITY = 0.7  # between cytoplasm (up to 0.4) and nuclei (from 1.0) of normalised slides
_NUCLEUS_CONTRAST = 0.22
_LIPID_RADIUS_UM = 4.0
_COLLAGEN_RATIO, _COLLAGEN_EOSIN = 2.0, 0.2


@dataclass(frozen=True)
class _Layers:
    """What all statistics are read from: stain densities and masks, (n, height, width)."""

    haematoxylin: Float[np.ndarray, "n h w"]
    eosin: Float[np.ndarray, "n h w"]
    white: Bool[np.ndarray, "n h w"]
    mpp: float


def image_statistics(patches: UInt8[np.ndarray, "n height width 3"], mpp: float) -> pd.DataFrame:
    """Measure each patch.

    Parameters
    ----------
    patches
        RGB patches of a stain-normalised slide, or generated ones: densities are read with the stain vectors of
        Macenko's reference.
    mpp
        Microns per pixel of these patches; those finer than `WORKING_MPP` are averaged down to it.

    Returns
    -------
    One row a patch, float64, columns `STATISTICS`:

    - ``nuclei_per_mm2``: maxima of haematoxylin, smoothed to a nucleus's size, against its surroundings (difference of
      Gaussians of 1.2 and 3 µm), at least 1.7 µm apart, per area: touching nuclei are counted apart;
    - ``nuclear_share``: share of the patch whose haematoxylin density is a nucleus's (above 0.7);
    - ``lumen_share``: share of the patch that is white: lumina, vessels, lipid, tears, glass;
    - ``lipid_share``: share of the patch that is white and narrower than 8 µm: what an opening with a disc removes, so
      that droplets count also where they touch, and the lumen of a tubule does not;
    - ``eosin_density``: mean eosin density where it is neither white nor nucleus, in units of the reference's vector;
    - ``haematoxylin_density``: mean haematoxylin density where it is not white;
    - ``tubule_diameter_um``: four correlation lengths of the pattern of nuclei and lumina, from how much of its
      contrast outlives smoothing (1 against 4 µm): large tubules make coarse patterns. Relative, not a ruler;
    - ``collagen_share``: share of the patch where smoothed eosin is at least twice the haematoxylin: fibres and matrix,
      outside cells.

    Raises
    ------
    InputError
        ``mpp`` is not positive.
    """
    if not mpp > 0:
        raise InputError(f"image statistics need the patches' microns per pixel, got {mpp}")
    parts = [_measure(patches[start : start + _CHUNK], mpp) for start in range(0, len(patches), _CHUNK)]
    if not parts:
        return pd.DataFrame({name: np.zeros(0) for name in STATISTICS})
    return pd.concat(parts, ignore_index=True)


def stain_densities(
    patches: UInt8[np.ndarray, "n height width 3"],
) -> tuple[Float[np.ndarray, "n height width"], Float[np.ndarray, "n height width"]]:
    """Haematoxylin and eosin densities by fixed-stain deconvolution: least squares of the optical density, cut at 0."""
    table = -np.log((np.arange(256, dtype=np.float32) + 1) / _WHITE)  # one logarithm a grey level, not one a pixel
    density = table[patches] @ np.linalg.pinv(_STAINS).astype(np.float32)
    return np.maximum(density[..., 0], 0), np.maximum(density[..., 1], 0)


def _measure(patches: UInt8[np.ndarray, "n height width 3"], mpp: float) -> pd.DataFrame:
    layers = _separate(patches, mpp)
    tissue = ~layers.white
    nuclei = _nuclei(layers)
    lipid = _lipid(layers)
    cytoplasm = tissue & ~nuclei
    return pd.DataFrame(
        {
            "nuclei_per_mm2": _count_nuclei(layers) / (layers.white[0].size * layers.mpp**2 * 1e-6),
            "nuclear_share": _share(nuclei),
            "lumen_share": _share(layers.white),
            "lipid_share": _share(lipid),
            "eosin_density": _mean_where(layers.eosin, cytoplasm),
            "haematoxylin_density": _mean_where(layers.haematoxylin, tissue),
            "tubule_diameter_um": _pattern_scale_um(layers),
            "collagen_share": _share(_collagen(layers)),
        }
    )


def _separate(patches: UInt8[np.ndarray, "n height width 3"], mpp: float) -> _Layers:
    height = patches.shape[1]
    coarse = min(height, max(1, round(height * mpp / WORKING_MPP)))
    if coarse < height:
        patches, mpp = resize_patches(patches, coarse), mpp * height / coarse
    haematoxylin, eosin = stain_densities(patches)
    density = -np.log((patches[..., 1].astype(np.float32) + 1) / _WHITE)  # green: both stains absorb it most
    return _Layers(haematoxylin=haematoxylin, eosin=eosin, white=density < _WHITE_DENSITY, mpp=mpp)


def _nuclei(layers: _Layers) -> Bool[np.ndarray, "n h w"]:
    smooth = _blur(layers.haematoxylin, 0.6 / layers.mpp)
    return np.asarray((smooth > _NUCLEUS_DENSITY) & ~layers.white)


def _count_nuclei(layers: _Layers) -> Float[np.ndarray, " n"]:
    response = _blur(layers.haematoxylin, 1.2 / layers.mpp) - _blur(layers.haematoxylin, 3.0 / layers.mpp)
    reach = max(1, round(1.7 / layers.mpp))
    peak = ndimage.maximum_filter(response, size=(1, 2 * reach + 1, 2 * reach + 1), mode="nearest") == response
    return np.asarray((peak & (response > _NUCLEUS_CONTRAST)).sum(axis=(1, 2)), dtype=np.float64)


def _lipid(layers: _Layers) -> Bool[np.ndarray, "n h w"]:
    """White minus its opening with a disc; beyond the patch's edge white goes on, so that cut lumina stay wide."""
    core = _distance_um(layers.white, layers.mpp) > _LIPID_RADIUS_UM
    opened = _distance_um(~core, layers.mpp) <= _LIPID_RADIUS_UM
    return np.asarray(layers.white & ~opened)


def _distance_um(mask: Bool[np.ndarray, "n h w"], mpp: float) -> Float[np.ndarray, "n h w"]:
    """Distance to the nearest pixel of the same patch that is not in the mask; huge where there is none."""
    apart = 1e6  # patches are planes of one volume, too far apart to be each other's nearest
    with_blank = np.concatenate([mask, np.zeros((1, *mask.shape[1:]), dtype=bool)])
    return np.asarray(ndimage.distance_transform_edt(with_blank, sampling=(apart, mpp, mpp))[:-1])


def _pattern_scale_um(layers: _Layers) -> Float[np.ndarray, " n"]:
    """Four correlation lengths of a pattern whose autocorrelation is Gaussian and outlives smoothing as this one does.

    Smoothing with sigma leaves l² / (l² + 2 sigma²) of the variance of such a pattern with correlation length l.
    """
    fine, coarse = 1.0, 4.0
    pattern = _blur(layers.haematoxylin, fine / layers.mpp) - layers.white
    variance = [_blur(pattern, sigma / layers.mpp).var(axis=(1, 2), dtype=np.float64) for sigma in (fine, coarse)]
    kept = variance[1] / np.maximum(variance[0], 1e-12)
    least = fine**2 / coarse**2  # what is kept of white noise
    kept = np.clip(kept, least, 0.99)
    length = np.sqrt(np.maximum(2 * (coarse**2 * kept - fine**2) / (1 - kept), 0))
    return np.asarray(np.where(variance[0] > 1e-6, 4 * length, np.nan))


def _collagen(layers: _Layers) -> Bool[np.ndarray, "n h w"]:
    eosin, haematoxylin = (_blur(layer, 2.5 / layers.mpp) for layer in (layers.eosin, layers.haematoxylin))
    return np.asarray((eosin > _COLLAGEN_RATIO * haematoxylin) & (eosin > _COLLAGEN_EOSIN))


def _blur(layer: Float[np.ndarray, "n h w"], sigma_px: float) -> Float[np.ndarray, "n h w"]:
    return np.asarray(ndimage.gaussian_filter(layer, (0, sigma_px, sigma_px), mode="nearest", truncate=3.0))


def _share(mask: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    return np.asarray(mask.mean(axis=(1, 2)), dtype=np.float64)


def _mean_where(layer: Float[np.ndarray, "n h w"], mask: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    total = mask.sum(axis=(1, 2))
    return np.where(total > 0, (layer * mask).sum(axis=(1, 2), dtype=np.float64) / np.maximum(total, 1), np.nan)
