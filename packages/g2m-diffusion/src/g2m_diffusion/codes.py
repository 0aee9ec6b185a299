"""From patches to what the denoiser works on, and back: blocks of pixels as channels, or an autoencoder's latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from g2m_diffusion.views import read_patches, resize

Shape = tuple[int, int, int]


@runtime_checkable
class Codec(Protocol):
    """Codes have about unit variance; `shape` is (channels, height, width) of one."""

    @property
    def shape(self) -> Shape: ...  # noqa: D102

    def encode(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h2 w2"]: ...  # noqa: D102

    def decode(self, codes: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n 3 h w"]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class PixelCodec:
    """Squares of `block` pixels a side become channels; colours are brought to mean 0 and a common deviation of 1.

    Tissue is pale, and its colours vary little: without this a noise level would mean something else than it does for
    latents.

    Attributes
    ----------
    resolution, block
        Width of the images and of a square, in pixels.
    mean
        Of each colour, in [-1, 1].
    deviation
        Root mean square of the three colours' deviations.
    """

    resolution: int
    block: int
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    deviation: float = 1.0

    @classmethod
    def fit(cls, patches: UInt8[Tensor, "n 3 h w"], resolution: int, block: int) -> "PixelCodec":
        """Measure mean and deviation on some hundred patches."""
        images = read_patches(patches, resolution).double()
        mean, deviation = images.mean(dim=(0, 2, 3)), images.var(dim=(0, 2, 3)).mean().sqrt()
        # short numbers survive the configuration's JSON exactly
        return cls(
            resolution=resolution,
            block=block,
            mean=tuple(round(float(value), 4) for value in mean),
            deviation=max(round(float(deviation), 4), 1e-3),
        )

    @property
    def shape(self) -> Shape:
        """Channels, height and width of a code."""
        width = self.resolution // self.block
        return 3 * self.block**2, width, width

    def encode(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Images in [-1, 1] to codes."""
        mean = constants(self.mean, images)[:, None, None]
        return functional.pixel_unshuffle((images - mean) / self.deviation, self.block)

    def decode(self, codes: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n 3 h w"]:
        """Codes to images in about [-1, 1]."""
        mean = constants(self.mean, codes)[:, None, None]
        return functional.pixel_shuffle(codes, self.block) * self.deviation + mean


def constants(values: Sequence[float | int], like: Tensor) -> Float[Tensor, " n"]:
    """Numbers as a tensor where another one is; filled there, since a copy from the host would wait for the device."""
    return torch.cat([like.new_empty(0), *(like.new_full((1,), value) for value in values)])


@dataclass(frozen=True, kw_only=True)
class LatentCodec:
    """A frozen autoencoder's latents, scaled to unit variance.

    Attributes
    ----------
    autoencoder
        With its `scaling_factor`, and `shift_factor` where it has one.
    resolution
        Width of the images in pixels.
    encode_px
        Width they are resized to before encoding; 0: as they are.
    """

    autoencoder: AutoencoderKL
    resolution: int
    encode_px: int = 0

    @property
    def shape(self) -> Shape:
        """Channels, height and width of a code."""
        config = self.autoencoder.config
        width = (self.encode_px or self.resolution) // 2 ** (len(config.block_out_channels) - 1)
        return config.latent_channels, width, width

    @property
    def scaling_factor(self) -> float:
        """What latents are multiplied by."""
        return float(self.autoencoder.config.scaling_factor)

    @property
    def shift_factor(self) -> float:
        """What is taken from latents before that."""
        return float(self.autoencoder.config.shift_factor or 0.0)

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Images in [-1, 1] to codes, the mean of the posterior."""
        resized = resize(images, self.encode_px or self.resolution)
        mean: Tensor = self.autoencoder.encode(resized.to(self.autoencoder.dtype)).latent_dist.mean.float()
        return (mean - self.shift_factor) * self.scaling_factor

    @torch.no_grad()
    def decode(self, codes: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n 3 h w"]:
        """Codes to images in about [-1, 1]."""
        latents = codes / self.scaling_factor + self.shift_factor
        images = self.autoencoder.decode(latents.to(self.autoencoder.dtype)).sample.float()
        return resize(images, self.resolution)
