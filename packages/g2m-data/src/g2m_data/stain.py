"""Macenko stain normalisation, estimated once per slide (paper, Data; Macenko et al. 2009)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from g2m_data.errors import InputError

LIGHT = 240.0
"""Transmitted light intensity, Io."""
ALPHA = 1.0
"""Percentile of the stain angles taken as the stains' directions."""
BETA = 0.15
"""Optical density below which a pixel counts as glass."""
TARGET_STAINS = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
"""(3, 2) optical densities of haematoxylin and eosin that every slide is rendered with: Macenko's usual target."""
TARGET_CONCENTRATION = np.array([1.9705, 1.0308])
"""99th percentile of each stain's concentration in the target."""

_DENSITY = -np.log((np.arange(256) + 1.0) / LIGHT)


@dataclass(frozen=True, kw_only=True)
class Stain:
    """How a slide is stained."""

    stains: NDArray[np.float64]
    """(3, 2) optical density of haematoxylin and of eosin."""
    concentration: NDArray[np.float64]
    """(2,) 99th percentile of each stain's concentration."""


def estimate_stain(rgb: NDArray[np.uint8]) -> Stain:
    """Estimate a slide's stain from its pixels.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3): the slide at low resolution, glass included.

    Raises
    ------
    InputError
        If there is no stained tissue to estimate from. The message does not name a file: the caller knows it.
    """
    density = _DENSITY[rgb.reshape(-1, 3)]
    tissue = density[(density >= BETA).all(axis=1)]
    if len(tissue) < max(100, 1e-3 * len(density)):
        raise InputError("no stained tissue found on it")
    plane = np.linalg.eigh(np.cov(tissue.T))[1][:, 1:]
    projected = tissue @ plane
    # angles are measured from the mean, because an eigenvector's sign is arbitrary and no angle may wrap around
    middle = np.arctan2(*projected.mean(axis=0)[::-1])
    turned = projected @ np.array([[np.cos(middle), -np.sin(middle)], [np.sin(middle), np.cos(middle)]])
    low, high = middle + np.percentile(np.arctan2(turned[:, 1], turned[:, 0]), [ALPHA, 100 - ALPHA])
    first, second = plane @ [np.cos(low), np.sin(low)], plane @ [np.cos(high), np.sin(high)]
    # the stain that absorbs more red is haematoxylin
    stains = np.column_stack([first, second] if first[0] > second[0] else [second, first])
    concentration = np.percentile(density @ np.linalg.pinv(stains).T, 99, axis=0)
    if np.linalg.cond(stains) > 1e3 or (concentration <= 1e-3).any():
        raise InputError("its tissue does not show two stains")
    return Stain(stains=stains, concentration=concentration)


def normalise_stain(rgb: NDArray[np.uint8], stain: Stain) -> NDArray[np.uint8]:
    """Render an image of a slide with the target's stains.

    One lookup, one 3 x 3 matrix and one exponential per pixel: unmixing and mixing are linear in optical density, so
    they are one matrix. A blank tile is as good as any other, because nothing is estimated here.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    stain
        Of the slide the image belongs to.
    """
    gain = np.diag(TARGET_CONCENTRATION / stain.concentration)
    matrix = TARGET_STAINS @ gain @ np.linalg.pinv(stain.stains)
    density = cv2.LUT(rgb, (-_DENSITY).astype(np.float32))
    bright = cv2.exp(cv2.transform(density, matrix))
    return cv2.convertScaleAbs(bright, alpha=LIGHT)  # type: ignore[return-value]
