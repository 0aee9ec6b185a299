"""Image statistics by ordinary image processing, for patches whose stains were brought to Macenko's reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
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
"""Finest scale at which patches are measured, µm per px: finer ones are averaged down to it first, so that a patch of 128 px
and the same patch at 64 px give the same numbers."""

_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])  # haematoxylin, eosin: Macenko's reference
_WHITE = 240.0
_CHUNK = 256
_WHITE_DENSITY = 0.22  # optical density in green below which nothing is stained
_NUCLEUS_DENSITY = 1.1
_NUCLEUS_CONTRAST = 0.12
_LIPID_UM = 25.0
_COLLAGEN_EOSIN = 1.1
_COLLAGEN_HAEMATOXYLIN = 0.35


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
        RGB patches of a stain-normalised slide, or generated ones: densities are read with the stain vectors of Macenko's reference.
    mpp
        Microns per pixel of these patches; those finer than `WORKING_MPP` are averaged down to it.

    Returns
    -------
    One row a patch, float64, columns `STATISTICS`:

    - ``nuclei_per_mm2``: maxima of smoothed haematoxylin at least 4 µm apart that stand out of their surroundings, per area;
    - ``nuclear_share``: share of the patch whose haematoxylin density is a nucleus's, in [0, 1];
    - ``lumen_share``: share of the patch that is white (lumina, vessels, tears, lipid), in [0, 1];
    - ``lipid_share``: share of the patch in white holes that are round and at most 25 µm across, in [0, 1];
    - ``eosin_density``: mean eosin density where it is neither white nor nucleus, 1 = the reference vector's unit;
    - ``haematoxylin_density``: mean haematoxylin density where it is not white;
    - ``tubule_diameter_um``: typical width of what lies between lumina and boundaries, from the eosin texture's autocorrelation;
    - ``collagen_share``: share of the patch that is strongly eosin-stained and holds no haematoxylin, in [0, 1].

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
            "tubule_diameter_um": _texture_width_um(layers),
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
    """Maxima of haematoxylin at a nucleus's size against its surroundings: touching nuclei count as two."""
    response = _blur(layers.haematoxylin, 1.5 / layers.mpp) - _blur(layers.haematoxylin, 4.0 / layers.mpp)
    reach = max(1, round(2.0 / layers.mpp))
    peak = ndimage.maximum_filter(response, size=(1, 2 * reach + 1, 2 * reach + 1), mode="nearest") == response
    return np.asarray((peak & (response > _NUCLEUS_CONTRAST)).sum(axis=(1, 2)), dtype=np.float64)


def _lipid(layers: _Layers) -> Bool[np.ndarray, "n h w"]:
    """White holes that are round and small; one cut by the patch's edge is judged by what is seen of it."""
    labels = _label(layers.white)
    count = int(labels.max())
    if count == 0:
        return np.zeros(layers.white.shape, dtype=bool)
    area = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
    boxes = ndimage.find_objects(labels)
    sides = np.array([[1, 1], *((box[1].stop - box[1].start, box[2].stop - box[2].start) for box in boxes)])
    box_area = sides.prod(axis=1)
    extent = sides.max(axis=1) * layers.mpp
    round_enough = (area / box_area > 0.55) & (sides.min(axis=1) / sides.max(axis=1) > 0.5)
    keep = round_enough & (extent <= _LIPID_UM) & (area * layers.mpp**2 >= 4.0)
    keep[0] = False
    return np.asarray(keep[labels])


def _texture_width_um(layers: _Layers) -> Float[np.ndarray, " n"]:
    """Half the mean wavelength of the stain texture between 12 and 80 µm."""
    density = layers.eosin + layers.haematoxylin
    height, width = density.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    centred = (density - density.mean(axis=(1, 2), keepdims=True)) * window
    power = np.abs(np.fft.rfft2(centred)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height, layers.mpp)[:, None], np.fft.rfftfreq(width, layers.mpp)[None])
    band = (frequency > 1 / 80) & (frequency < 1 / 12)
    total = power[:, band].sum(axis=1)
    mean = (power[:, band] * frequency[band]).sum(axis=1) / np.where(total > 0, total, 1)
    return np.asarray(np.where(total > 0, 0.5 / np.where(mean > 0, mean, 1), np.nan), dtype=np.float64)


def _collagen(layers: _Layers) -> Bool[np.ndarray, "n h w"]:
    eosin, haematoxylin = _blur(layers.eosin, 1.0 / layers.mpp), _blur(layers.haematoxylin, 1.0 / layers.mpp)
    return (eosin > _COLLAGEN_EOSIN) & (haematoxylin < _COLLAGEN_HAEMATOXYLIN)


def _label(mask: Bool[np.ndarray, "n h w"]) -> Int[np.ndarray, "n h w"]:
    """Connected parts of all patches in one call; patches are not each other's neighbours."""
    plane = np.zeros((3, 3, 3), dtype=bool)
    plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, _ = ndimage.label(mask, structure=plane)
    return np.asarray(labels)


def _blur(layer: Float[np.ndarray, "n h w"], sigma_px: float) -> Float[np.ndarray, "n h w"]:
    return np.asarray(ndimage.gaussian_filter(layer, (0, sigma_px, sigma_px), mode="nearest", truncate=3.0))


def _share(mask: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    return np.asarray(mask.mean(axis=(1, 2)), dtype=np.float64)


def _mean_where(layer: Float[np.ndarray, "n h w"], mask: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    total = mask.sum(axis=(1, 2))
    return np.where(total > 0, (layer * mask).sum(axis=(1, 2), dtype=np.float64) / np.maximum(total, 1), np.nan)
