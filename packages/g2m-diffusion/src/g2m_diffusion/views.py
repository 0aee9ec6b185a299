"""Patches as models see them: in [-1, 1], at a model's width, turned a way of each key's own."""

from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from g2m_diffusion.noise import Stream, draw_uniform

Views = Literal["one", "flips", "dihedral"]
"""A patch as it is, mirrored left-right, or in all 8 ways of a square."""

VIEW_COUNTS: dict[Views, int] = {"one": 1, "flips": 2, "dihedral": 8}


def read_patches(patches: UInt8[Tensor, "n 3 h w"], resolution: int) -> Float[Tensor, "n 3 r r"]:
    """Bring stored patches of any size to a model's resolution, and to [-1, 1]."""
    return resize(patches.float() / 127.5 - 1, resolution)


def to_uint8(images: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """Bring images in [-1, 1], or a little beyond, back to 0..255."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def resize(images: Float[Tensor, "n c h w"], width_px: int) -> Float[Tensor, "n c r r"]:
    """Shrink by area or enlarge by cubic interpolation; the same tensor where the size is right already."""
    height, width = images.shape[2:]
    if height == width == width_px:
        return images
    if min(height, width) >= width_px:
        return functional.interpolate(images, size=(width_px, width_px), mode="area")
    return functional.interpolate(images, size=(width_px, width_px), mode="bicubic", align_corners=False)


def choose_view(keys: Int[Tensor, " n"], views: Views) -> Int[Tensor, " n"]:
    """Which of the ways each key is turned, from 0 (as it is) to 1 or 7."""
    return (draw_uniform(keys, Stream.VIEW, 1)[:, 0] * VIEW_COUNTS[views]).long()


def turn(images: Float[Tensor, "n c r r"], keys: Int[Tensor, " n"], views: Views) -> Float[Tensor, "n c r r"]:
    """Turn each image the way that `choose_view` gives its key.

    The bits of that number: 1 mirrors left-right, 2 top-bottom, 4 swaps rows and columns.
    """
    if views == "one":
        return images
    view = choose_view(keys, views).to(images.device)[:, None, None, None]
    images = torch.where((view & 1).bool(), images.flip(3), images)
    if views == "dihedral":
        images = torch.where((view & 2).bool(), images.flip(2), images)
        images = torch.where((view & 4).bool(), images.transpose(2, 3), images)
    return images
