"""Augmentation as pure functions of images, expression and numbers drawn per sample."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from g2m_encoders.config import AugmentationSettings

IMAGE_DRAWS = 10  # numbers a patch needs: three flips, brightness, contrast, saturation, hue, three gains

# Rec. 601 luma and the two chroma axes of YIQ, in which turning the hue is a rotation
_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_LUMA = _RGB_TO_YIQ[0]


def _list_colour_turns() -> list[list[float]]:
    """For each element of the RGB matrix that turns and stretches chroma, its part that stays, with cos and with sin.

    As plain numbers: a tensor of constants would be copied to the device at every step, and the step wait for it.
    """
    y, i, q = np.array(_RGB_TO_YIQ)
    back_y, back_i, back_q = np.linalg.inv(np.array(_RGB_TO_YIQ)).T
    parts = [
        np.outer(back_y, y),
        np.outer(back_i, i) + np.outer(back_q, q),
        np.outer(back_q, i) - np.outer(back_i, q),
    ]
    elements: list[list[float]] = np.stack(parts, axis=-1).reshape(9, 3).tolist()
    return elements


_COLOUR_TURNS = _list_colour_turns()


def augment_images(
    images: Float[Tensor, "batch 3 height width"], uniform: Float[Tensor, "batch draw"], settings: AugmentationSettings
) -> Float[Tensor, "batch 3 height width"]:
    """Flips and colour jitter (paper, code: flips 1/2 each, colour .2), each sample by its own numbers.

    Parameters
    ----------
    images
        In [-1, 1].
    uniform
        `IMAGE_DRAWS` numbers in [0, 1) a sample.
    settings
        Strengths.

    Returns
    -------
    In [-1, 1]. Turns of the image by a quarter need square images.
    """
    if settings.flips:
        images = torch.where(_choice(uniform[:, 0]), images.flip(-1), images)
        images = torch.where(_choice(uniform[:, 1]), images.flip(-2), images)
    if settings.rotations:
        images = torch.where(_choice(uniform[:, 2]), images.transpose(-1, -2), images)
    if not (settings.brightness or settings.contrast or settings.saturation or settings.hue or settings.gain):
        return images
    matrix, offset = _colour_map(images, uniform, settings)
    return (torch.einsum("nij,njhw->nihw", matrix, images) + offset[:, :, None, None]).clamp(-1, 1)


def _choice(uniform: Float[Tensor, " batch"]) -> Tensor:
    return (uniform < 0.5)[:, None, None, None]


def _colour_map(
    images: Tensor, uniform: Tensor, settings: AugmentationSettings
) -> tuple[Float[Tensor, "batch 3 3"], Float[Tensor, "batch 3"]]:
    """All colour changes of a sample as one affine map of its pixels: y = M x + offset, for values in [-1, 1]."""
    spread = 2 * uniform[:, 3:].to(images.dtype) - 1
    brightness = 1 + settings.brightness * spread[:, 0]
    contrast = 1 + settings.contrast * spread[:, 1]
    saturation = 1 + settings.saturation * spread[:, 2]
    angle = 2 * math.pi * settings.hue * spread[:, 3]
    gain = 1 + settings.gain * spread[:, 4:7]

    cosine, sine = saturation * angle.cos(), saturation * angle.sin()
    turned = [stays + along * cosine + across * sine for stays, along, across in _COLOUR_TURNS]
    matrix = torch.stack(turned, dim=1).view(-1, 3, 3)
    matrix = gain[:, :, None] * brightness[:, None, None] * matrix

    mean = (images.mean(dim=(2, 3)) + 1) / 2  # of [0, 1] values: black is where brightness and gain pivot
    centre = (matrix @ mean[:, :, None])[:, :, 0]
    # in [0, 1]: y = contrast M x + (1 - contrast) luma of the changed image's mean; then back to [-1, 1]
    grey = sum(weight * centre[:, channel, None] for channel, weight in enumerate(_LUMA))
    matrix = contrast[:, None, None] * matrix
    offset = (1 - contrast)[:, None] * grey
    return matrix, matrix.sum(dim=2) + 2 * offset - 1


def augment_expression(
    expression: Float[Tensor, "batch gene"],
    normal: Float[Tensor, "batch gene"] | None,
    uniform: Float[Tensor, "batch gene"] | None,
    settings: AugmentationSettings,
) -> Float[Tensor, "batch gene"]:
    """Vary genes as batches do: a log-normal factor on each gene's counts, and genes read as 0.

    Parameters
    ----------
    expression
        log1p of normalised counts.
    normal, uniform
        One number a gene; None where the setting is 0.
    settings
        Strengths.
    """
    if normal is not None and settings.expression_noise:
        counts = torch.expm1(expression) * torch.exp(settings.expression_noise * normal)
        expression = torch.log1p(counts)
    if uniform is not None and settings.gene_dropout:
        expression = expression * (uniform >= settings.gene_dropout)
    return expression
