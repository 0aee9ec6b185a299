"""Blur of what the discriminator sees early in training, as two small matrix products."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from g2m_gan.config import BlurSettings


def blur_sigma(settings: BlurSettings, images_seen: int) -> float:
    """Width of the blur in pixels: from `sigma_px` linearly to 0 at `images` (paper P6; 1000 kimg in its code)."""
    if settings.images <= 0:
        return 0.0
    return settings.sigma_px * max(1.0 - images_seen / settings.images, 0.0)


def blur_matrix(size: int, sigma: float, device: torch.device | None = None) -> Float[Tensor, "size size"]:
    """Rows that average neighbours with weight 2^-(x/sigma)^2 up to floor(3 sigma) px away.

    Rows sum to 1, at the border too, so that a flat image stays as it is.
    """
    position = torch.arange(size, dtype=torch.float32, device=device)
    distance = (position[:, None] - position[None, :]).abs()
    weight = torch.exp2(-((distance / sigma) ** 2)) * (distance <= math.floor(3 * sigma))
    return weight / weight.sum(dim=1, keepdim=True)


def blur(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Blur both axes; unchanged where the kernel is a single pixel (3 sigma < 1)."""
    if math.floor(3 * sigma) < 1:
        return images
    rows, columns = (blur_matrix(size, sigma, images.device).to(images.dtype) for size in images.shape[2:])
    return rows @ images @ columns.T
