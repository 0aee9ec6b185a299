"""Random changes that leave a patch's region what it is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def augment(
    images: Float[Tensor, "n 3 size size"], generator: torch.Generator, *, zoom: float = 0.85, stain: float = 0.12
) -> Float[Tensor, "n 3 size size"]:
    """Turn, mirror, crop, restain and blur each image by draws of its own.

    Tissue has no up or down, so any flip and quarter turn is as likely as another. Stain is varied in optical density,
    where it acts: a random matrix near the identity mixes the channels' densities, as another batch of dyes would.
    Some images are blurred, so that a network does not judge by the sharpness of one scanner or of a generator.

    Parameters
    ----------
    images
        Reflectances in [0, 1].
    generator
        On the CPU, source of every draw.
    zoom
        Smallest share of a side that a crop keeps.
    stain
        Standard deviation of the relative change of optical densities.
    """
    return _blur(_restain(_move(images, generator, zoom), generator, stain), generator)


def _move(
    images: Float[Tensor, "n 3 size size"], generator: torch.Generator, zoom: float
) -> Float[Tensor, "n 3 size size"]:
    n = len(images)
    quarter = torch.randint(0, 4, (n,), generator=generator) * (math.pi / 2)
    mirror = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1.0
    scale = zoom + (1 - zoom) * torch.rand(n, generator=generator)
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * (1 - scale)[:, None]
    cos, sin = quarter.cos().round(), quarter.sin().round()
    top = torch.stack([scale * cos * mirror, -scale * sin, shift[:, 0]], dim=1)
    bottom = torch.stack([scale * sin * mirror, scale * cos, shift[:, 1]], dim=1)
    grid = functional.affine_grid(
        torch.stack([top, bottom], dim=1).to(images.device), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _restain(
    images: Float[Tensor, "n 3 size size"], generator: torch.Generator, strength: float
) -> Float[Tensor, "n 3 size size"]:
    n = len(images)
    mixing = torch.eye(3) + strength * 0.5 * torch.randn(n, 3, 3, generator=generator)
    mixing = mixing * torch.exp(strength * torch.randn(n, 1, 1, generator=generator))
    offset = 0.25 * strength * torch.randn(n, 3, 1, generator=generator)
    density = -torch.log(images.clamp(1 / 255, 1)).flatten(2)
    changed = torch.baddbmm(offset.to(images.device), mixing.to(images.device), density)
    return torch.exp(-changed.clamp(min=0)).view_as(images)


def _blur(images: Float[Tensor, "n 3 size size"], generator: torch.Generator) -> Float[Tensor, "n 3 size size"]:
    amount = (torch.rand(len(images), generator=generator) * 2 - 1).clamp(min=0).view(-1, 1, 1, 1).to(images.device)
    weights = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = torch.outer(weights, weights).expand(3, 1, 3, 3)
    blurred = functional.conv2d(functional.pad(images, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return images + amount * (blurred - images)
