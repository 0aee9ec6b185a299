"""From a generator's images to what the discriminator, the guide and a person get to see."""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from g2m_gan.noise import Stream, draw_uniform


def read_patches(patches: UInt8[Tensor, "n 3 h w"], resolution: int) -> Float[Tensor, "n 3 r r"]:
    """Bring stored patches of any size to a stage's resolution by area, and to [-1, 1]."""
    return resize(patches.float() / 127.5 - 1, resolution)


def to_uint8(images: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """Bring images in [-1, 1], or a little beyond, back to 0..255."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def resize(images: Float[Tensor, "n 3 h w"], width_px: int) -> Float[Tensor, "n 3 r r"]:
    """Resize by area; the same tensor where the size is right already."""
    if images.shape[2] == images.shape[3] == width_px:
        return images
    return functional.interpolate(images, size=(width_px, width_px), mode="area")


def crop_randomly(images: Float[Tensor, "n 3 h w"], keys: Int[Tensor, " n"], width_px: int) -> Float[Tensor, "n 3 r r"]:
    """Cut a square of `width_px` at a place of each key's own; the whole image where it is no larger, or at 0."""
    room = images.shape[2] - width_px
    if width_px <= 0 or room <= 0:
        return images
    corners = (draw_uniform(keys.to(images.device, non_blocking=True), Stream.CROP, 2) * (room + 1)).long()
    offset = torch.arange(width_px, device=images.device)
    rows, columns = (corner[:, None] + offset for corner in corners.T)
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    # advanced indices around the channel slice put the channels last
    return images[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
