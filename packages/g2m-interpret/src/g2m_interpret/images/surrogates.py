"""Image statistics that have a gradient, each close to an ordinary one that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from scipy import stats
from torch import Tensor
from torch.nn import functional

from g2m_interpret.errors import InputError

ImageStatistics = Callable[[Float[Tensor, "n 3 height width"]], Mapping[str, Float[Tensor, " n"]]]
"""Images in [-1, 1] -> differentiable numbers of each."""

_STAINS = torch.tensor([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])  # haematoxylin, eosin: Macenko's reference
_WHITE = 240.0
_WORKING_MPP = 0.86  # finer images are averaged down to it first
_SOFT = 0.05  # width of soft thresholds, optical density
_SOFT_CONTRAST = 0.02  # of a nucleus against its surroundings: narrow, since every pixel of even tissue counts a little
_PEAK = 0.01  # how far below its neighbourhood's maximum a pixel still counts as a peak


def image_surrogates(mpp: float) -> ImageStatistics:
    """Differentiable statistics of stain-normalised H&E patches: thresholds are sigmoids, openings are pooled.

    Parameters
    ----------
    mpp
        Microns per pixel of the images.

    Returns
    -------
    A function giving ``nuclei_per_mm2``, ``nuclear_share``, ``lumen_share``, ``lipid_share``, ``eosin_density``,
    ``tubule_diameter_um`` and ``collagen_share``. They stand in for ordinary statistics of the same names: ask
    `surrogate_agreement` how well.

    Raises
    ------
    InputError
        ``mpp`` is not positive.
    """
    if not mpp > 0:
        raise InputError(f"image statistics need the patches' microns per pixel, got {mpp}")

    def measure(images: Float[Tensor, "n 3 height width"]) -> dict[str, Float[Tensor, " n"]]:
        height = images.shape[-1]
        coarse = min(height, max(1, round(height * mpp / _WORKING_MPP)))
        scale = mpp * height / coarse
        if coarse < height:
            images = functional.interpolate(images, size=coarse, mode="area")
        return _measure(images, scale)

    return measure


def surrogate_agreement(
    images: UInt8[np.ndarray, "n height width 3"],
    surrogates: ImageStatistics,
    statistics: Callable[[UInt8[np.ndarray, "n height width 3"]], pd.DataFrame],
    *,
    batch_size: int = 64,
) -> pd.DataFrame:
    """How well surrogates follow the statistics they stand in for.

    Returns
    -------
    statistic (index), spearman, pearson, images: over images where both are finite; NaN if fewer than three, or one of
    them is constant.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        part = torch.from_numpy(images[start : start + batch_size]).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            parts.append(pd.DataFrame({name: value.numpy() for name, value in surrogates(part).items()}))
    soft, hard = pd.concat(parts, ignore_index=True), statistics(images).reset_index(drop=True)
    rows = {}
    for name in soft.columns.intersection(hard.columns):
        both = np.isfinite(soft[name]) & np.isfinite(hard[name])
        a, b = soft.loc[both, name].to_numpy(float), hard.loc[both, name].to_numpy(float)
        known = len(a) >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0
        rows[name] = {
            "spearman": float(stats.spearmanr(a, b).statistic) if known else float("nan"),
            "pearson": float(np.corrcoef(a, b)[0, 1]) if known else float("nan"),
            "images": len(a),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("statistic")


def along(
    encode_image: Callable[[Float[Tensor, "n 3 height width"]], Float[Tensor, "n dim"]],
    direction: Float[Tensor, " dim"],
    name: str,
) -> ImageStatistics:
    """Give the image embedding's component along a direction, such as from one cluster's mean to another's.

    Raises
    ------
    InputError
        The direction is 0, or not finite.
    """
    length = float(direction.norm())
    if not 0 < length < float("inf"):
        raise InputError(
            f"{name}: the direction has length {length}, so that nothing lies along it; choose other spots"
        )
    unit = direction / length

    def measure(images: Float[Tensor, "n 3 height width"]) -> dict[str, Float[Tensor, " n"]]:
        return {name: encode_image(images) @ unit}

    return measure


def _measure(images: Float[Tensor, "n 3 h w"], mpp: float) -> dict[str, Float[Tensor, " n"]]:
    light = (images.clamp(-1, 1) + 1) * 127.5
    density = -torch.log((light + 1) / _WHITE)
    stains = torch.einsum("nchw,cs->nshw", density, torch.linalg.pinv(_STAINS).to(density)).clamp(min=0)
    haematoxylin, eosin = stains[:, :1], stains[:, 1:]
    white = torch.sigmoid((0.22 - density[:, 1:2]) / _SOFT)
    nuclei = torch.sigmoid((_blur(haematoxylin, 0.6 / mpp) - 0.7) / _SOFT) * (1 - white)
    cytoplasm = (1 - white) * (1 - nuclei)
    return {
        "nuclei_per_mm2": _peaks(haematoxylin, mpp) / (images.shape[-1] * images.shape[-2] * mpp**2 * 1e-6),
        "nuclear_share": _mean(nuclei),
        "lumen_share": _mean(white),
        "lipid_share": _mean((white - _opened(white, 4.0 / mpp)).clamp(min=0)),
        "eosin_density": _mean(eosin * cytoplasm) / _mean(cytoplasm).clamp(min=1e-3),
        "tubule_diameter_um": _pattern_scale_um(_blur(haematoxylin, 1.0 / mpp) - white, mpp),
        "collagen_share": _mean(_collagen(_blur(haematoxylin, 2.5 / mpp), _blur(eosin, 2.5 / mpp))),
    }


def _peaks(haematoxylin: Float[Tensor, "n 1 h w"], mpp: float) -> Float[Tensor, " n"]:
    """Number of maxima of the difference of Gaussians, each pixel counted as far as it is one."""
    response = _blur(haematoxylin, 1.2 / mpp) - _blur(haematoxylin, 3.0 / mpp)
    reach = max(1, round(1.7 / mpp))
    highest = functional.max_pool2d(response, 2 * reach + 1, stride=1, padding=reach)
    peak = torch.exp(-(highest - response) / _PEAK) * torch.sigmoid((response - 0.22) / _SOFT_CONTRAST)
    return peak.sum(dim=(1, 2, 3))


def _opened(mask: Float[Tensor, "n 1 h w"], radius_px: float) -> Float[Tensor, "n 1 h w"]:
    """Opening with a square of the disc's area; beyond the edge the mask goes on, so that cut lumina stay wide."""
    reach = max(1, round(radius_px * np.sqrt(np.pi) / 2))
    eroded = -functional.max_pool2d(-mask, 2 * reach + 1, stride=1, padding=reach)
    return functional.max_pool2d(eroded, 2 * reach + 1, stride=1, padding=reach)


def _pattern_scale_um(pattern: Float[Tensor, "n 1 h w"], mpp: float) -> Float[Tensor, " n"]:
    """Four correlation lengths of the pattern, from how much of its variance outlives smoothing (1 against 4 um)."""
    fine, coarse = 1.0, 4.0
    variance = [_blur(pattern, sigma / mpp).var(dim=(1, 2, 3), correction=0) for sigma in (fine, coarse)]
    kept = (variance[1] / variance[0].clamp(min=1e-12)).clamp(1.001 * fine**2 / coarse**2, 0.99)
    return 4 * (2 * (coarse**2 * kept - fine**2) / (1 - kept)).sqrt()


def _collagen(haematoxylin: Float[Tensor, "n 1 h w"], eosin: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    return torch.sigmoid((eosin - 2 * haematoxylin) / _SOFT) * torch.sigmoid((eosin - 0.2) / _SOFT)


def _mean(layer: Float[Tensor, "n 1 h w"]) -> Float[Tensor, " n"]:
    return layer.mean(dim=(1, 2, 3))


def _blur(layer: Float[Tensor, "n 1 h w"], sigma_px: float) -> Float[Tensor, "n 1 h w"]:
    reach = int(3 * sigma_px + 0.5)
    if reach == 0:
        return layer
    at = torch.arange(-reach, reach + 1, dtype=layer.dtype, device=layer.device)
    weight = torch.exp(-0.5 * (at / sigma_px) ** 2)
    weight = weight / weight.sum()
    padded = functional.pad(layer, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, weight[None, None, None]), weight[None, None, :, None])
