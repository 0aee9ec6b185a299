"""Random changes that leave a patch's region what it is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def augment(
    images: Float[Tensor, "n 3 size size"],
    generator: torch.Generator,
    *,
    smallest_crop: float = 1.0,
    stain: float = 0.12,
    blurred: float = 0.1,
) -> Float[Tensor, "n 3 size size"]:
    """Turn, mirror, crop, restain and blur each image by draws of its own.

    Tissue has no up or down, so any of the eight flips and quarter turns is as likely as another. Stain is varied in
    optical density, where it acts: a random matrix near the identity mixes the channels' densities, as another batch of
    dyes would. A share of the images is blurred, so that a network does not judge by the sharpness of one scanner.

    Parameters
    ----------
    images
        Reflectances in [0, 1].
    generator
        On the CPU, source of every draw.
    smallest_crop
        Smallest share of a side that a crop keeps; 1 leaves images whole and not resampled.
    stain
        Standard deviation of the relative change of optical densities.
    blurred
        Share of images to blur.
    """
    turned = _turn(images, generator)
    cropped = _crop(turned, generator, smallest_crop) if smallest_crop < 1 else turned
    return _blur(_restain(cropped, generator, stain), generator, blurred)


def eight_views(images: Float[Tensor, "n channel size size"]) -> list[Float[Tensor, "n channel size size"]]:
    """All quarter turns of the images and of their mirror images, exactly."""
    turns = [torch.rot90(images, quarter, dims=(2, 3)) for quarter in range(4)]
    return turns + [view.flip(3) for view in turns]


def _turn(images: Float[Tensor, "n 3 size size"], generator: torch.Generator) -> Float[Tensor, "n 3 size size"]:
    which = torch.randint(0, 8, (len(images),), generator=generator).to(images.device)
    turned = images
    for dims, bit in (((2,), 1), ((3,), 2)):
        turned = torch.where((which & bit).bool()[:, None, None, None], turned.flip(dims), turned)
    return torch.where((which & 4).bool()[:, None, None, None], turned.transpose(2, 3), turned)


def _crop(
    images: Float[Tensor, "n 3 size size"], generator: torch.Generator, smallest: float
) -> Float[Tensor, "n 3 size size"]:
    n = len(images)
    scale = smallest + (1 - smallest) * torch.rand(n, generator=generator)
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * (1 - scale)[:, None]
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0] = transform[:, 1, 1] = scale
    transform[:, :, 2] = shift
    grid = functional.affine_grid(transform.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


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


def _blur(
    images: Float[Tensor, "n 3 size size"], generator: torch.Generator, share: float
) -> Float[Tensor, "n 3 size size"]:
    chosen = torch.nonzero(torch.rand(len(images), generator=generator) < share).flatten().to(images.device)
    weights = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = torch.outer(weights, weights).expand(3, 1, 3, 3)
    blurred = functional.conv2d(functional.pad(images[chosen], (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return images.index_copy(0, chosen, blurred)
