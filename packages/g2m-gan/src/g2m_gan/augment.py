"""Differentiable augmentation (Zhao et al. 2020): real and generated images get draws from one distribution."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from g2m_gan.config import AugmentSettings
from g2m_gan.noise import Stream, draw_uniform

_DRAWS = 9  # two flips, three of colour, two of translation, two of cutout


def augment(
    images: Float[Tensor, "n 3 h w"], keys: Int[Tensor, " n"], stream: Stream, settings: AugmentSettings
) -> Float[Tensor, "n 3 h w"]:
    """Flip, recolour, shift and punch each image by its own draws; differentiable in the images.

    Parameters
    ----------
    images
        In [-1, 1]; what is shifted in and cut out is 0, grey.
    keys, stream
        The draws' seeds, one a sample.
    """
    draws = draw_uniform(keys.to(images.device, non_blocking=True), stream, _DRAWS)
    if settings.flip:
        images = flip(images, draws[:, 0] < 0.5, draws[:, 1] < 0.5)
    if "color" in settings.policy:
        images = recolor(images, draws[:, 2:5], settings.color)
    if "translation" in settings.policy:
        images = translate(images, draws[:, 5:7], settings.translation)
    if "cutout" in settings.policy:
        images = cut_out(images, draws[:, 7:9], settings.cutout)
    return images


def flip(images: Float[Tensor, "n 3 h w"], across: Tensor, down: Tensor) -> Float[Tensor, "n 3 h w"]:
    """Mirror left-right where `across`, up-down where `down` (booleans, one a sample)."""
    images = torch.where(across[:, None, None, None], images.flip(3), images)
    return torch.where(down[:, None, None, None], images.flip(2), images)


def recolor(images: Float[Tensor, "n 3 h w"], draws: Float[Tensor, "n 3"], strength: float) -> Float[Tensor, "n 3 h w"]:
    """Brightness +-0.5, saturation x 0..2, contrast x 0.5..1.5 at strength 1."""
    brightness, saturation, contrast = ((draws - 0.5) * strength).T[:, :, None, None, None]
    images = images + brightness
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey, images, 1 + 2 * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 1 + contrast)


def translate(
    images: Float[Tensor, "n 3 h w"], draws: Float[Tensor, "n 2"], largest: float
) -> Float[Tensor, "n 3 h w"]:
    """Shift by whole pixels, at most `largest` x width each way; what comes in from outside is 0."""
    n, _, height, width = images.shape
    reach_y, reach_x = round(height * largest), round(width * largest)
    down = (draws[:, 0] * (2 * reach_y + 1)).long() - reach_y
    right = (draws[:, 1] * (2 * reach_x + 1)).long() - reach_x
    padded = torch.nn.functional.pad(images, (reach_x, reach_x, reach_y, reach_y))
    rows = torch.arange(height, device=images.device) + (reach_y - down)[:, None]
    columns = torch.arange(width, device=images.device) + (reach_x - right)[:, None]
    sample = torch.arange(n, device=images.device)[:, None, None]
    # Advanced indices around the channel slice put the channels last.
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Float[Tensor, "n 3 h w"], draws: Float[Tensor, "n 2"], width: float) -> Float[Tensor, "n 3 h w"]:
    """Set a square of `width` x image width to 0; its centre lies anywhere in the image."""
    size_y, size_x = images.shape[2:]
    inside = []
    for draw, size in zip(draws.T, (size_y, size_x), strict=True):
        hole = round(size * width)
        start = (draw * (size + 1 - hole % 2)).long() - hole // 2
        offset = torch.arange(size, device=images.device)[None, :] - start[:, None]
        inside.append((offset >= 0) & (offset < hole))
    return torch.where(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0.0, images)
