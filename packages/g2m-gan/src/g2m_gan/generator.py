"""The generator of StyleGAN-G: noise and an expression embedding become a patch (paper P6)."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from g2m_gan.config import BASE_RESOLUTION, GeneratorSettings
from g2m_gan.layers import (
    ACTIVATION_GAIN,
    SLOPE,
    EqualLinear,
    FourierInput,
    ModulatedConv,
    ResidualConv,
    ToRGB,
    upsample,
)


class Mapping(nn.Module):
    """Noise to style: w = (mapped z, c). Truncation pulls the first half to its running mean; c stays as it is."""

    mean: Tensor

    def __init__(self, settings: GeneratorSettings, condition_dim: int) -> None:
        super().__init__()
        self.condition_gain = settings.condition_gain
        self.decay = settings.truncation_decay
        self.layers = nn.ModuleList(
            EqualLinear(settings.z_dim, settings.z_dim, lr_multiplier=settings.mapping_lr_multiplier)
            for _ in range(settings.mapping_layers)
        )
        self.register_buffer("mean", torch.zeros(settings.z_dim))
        self.w_dim = settings.z_dim + condition_dim

    def style(self, z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n z_dim"]:
        """Map noise, brought to unit second moment first; the last layer is linear."""
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), SLOPE) * ACTIVATION_GAIN
        return self.layers[-1](x) if len(self.layers) else x

    def forward(
        self, z: Float[Tensor, "n z_dim"], condition: Float[Tensor, "n dim"], truncation: float
    ) -> Float[Tensor, "n w_dim"]:
        """Join both halves of w."""
        style = self.style(z)
        if truncation != 1.0:
            style = torch.lerp(self.mean.to(style.dtype), style, truncation)
        return torch.cat([style, condition * self.condition_gain], dim=1)

    @torch.no_grad()
    def track_mean(self, z: Float[Tensor, "n z_dim"]) -> None:
        """Move the running mean towards that of these draws."""
        self.mean.lerp_(self.style(z).mean(dim=0), 1 - self.decay)


class SynthesisBlock(nn.Module):
    """The layers of one resolution, and their share of the image."""

    def __init__(self, settings: GeneratorSettings, resolution: int, w_dim: int) -> None:
        super().__init__()
        channels = settings.channels(resolution)
        clamp = settings.activation_clamp
        self.resolution = resolution
        self.up: ModulatedConv | None = None
        if resolution > BASE_RESOLUTION:
            self.up = ModulatedConv(settings.channels(resolution // 2), channels, w_dim, up=True, clamp=clamp)
        self.layers = nn.ModuleList()
        for _ in range(settings.residual_blocks):
            self.layers.append(ModulatedConv(channels, channels, w_dim, gain=math.sqrt(0.5), clamp=clamp))
            self.layers.append(
                ResidualConv(
                    channels, w_dim, groups=settings.norm_groups, layer_scale=settings.layer_scale, clamp=clamp
                )
            )
        self.to_rgb = ToRGB(channels, w_dim, init=settings.rgb_init, clamp=clamp)

    @property
    def noise_layers(self) -> int:
        """Layers that add a noise image of their own."""
        return len(self.layers) + (self.up is not None)

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        image: Float[Tensor, "n 3 h w"] | None,
        w: Float[Tensor, "n w_dim"],
        noise: Float[Tensor, "n layer h2 w2"],
    ) -> tuple[Float[Tensor, "n c2 h2 w2"], Float[Tensor, "n 3 h2 w2"]]:
        """Give the features and the image so far, both at this block's resolution."""
        maps = [noise[:, layer : layer + 1] for layer in range(self.noise_layers)]
        if self.up is not None:
            x = self.up(x, w, maps.pop(0))
        for layer, own in zip(self.layers, maps, strict=True):
            x = layer(x, w, own)
        share = self.to_rgb(x, w)
        return x, share if image is None else upsample(image) + share


class Generator(nn.Module):
    """Blocks of 8, 16, ... px up to `resolution`, whose images are up-sampled and summed.

    Parameters
    ----------
    condition_dim
        Length of the expression embedding.
    resolution
        Width of the image in pixels, a power of two.

    Attributes
    ----------
    colors, color_mean
        What turns the three summed maps into RGB: `color_mean + colors @ maps`. Identity and 0, as in the paper, unless
        `use_colors_of` is called.
    """

    colors: Tensor
    color_mean: Tensor

    def __init__(self, settings: GeneratorSettings, condition_dim: int, resolution: int) -> None:
        super().__init__()
        self.register_buffer("colors", torch.eye(3))
        self.register_buffer("color_mean", torch.zeros(3))
        self.settings, self.condition_dim, self.resolution = settings, condition_dim, resolution
        self.mapping = Mapping(settings, condition_dim)
        w_dim = self.mapping.w_dim
        self.input = FourierInput(
            settings.channels(BASE_RESOLUTION), BASE_RESOLUTION, w_dim, bandwidth=settings.fourier_bandwidth
        )
        sizes = [BASE_RESOLUTION << level for level in range(int(math.log2(resolution // BASE_RESOLUTION)) + 1)]
        self.blocks = nn.ModuleDict({str(size): SynthesisBlock(settings, size, w_dim) for size in sizes})
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    @property
    def noise_counts(self) -> list[int]:
        """Per-pixel noise numbers each block takes a sample, from the lowest resolution up."""
        return [block.noise_layers * block.resolution**2 for block in self._blocks()]

    def forward(
        self,
        z: Float[Tensor, "n z_dim"],
        condition: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n pixel"],
        truncation: float = 1.0,
    ) -> Float[Tensor, "n 3 h w"]:
        """Draw images, nominally in [-1, 1] (not clamped).

        Parameters
        ----------
        z, noise
            Standard normal; `noise` has `sum(noise_counts)` numbers a sample.
        truncation
            1: as trained; towards 0, noise pulls less and images of one condition grow alike.
        """
        w = self.mapping(z, condition, truncation)
        x = self.input(w)
        image: Tensor | None = None
        for block, part in zip(self._blocks(), torch.split(noise, self.noise_counts, dim=1), strict=True):
            maps = part.reshape(len(z), block.noise_layers, block.resolution, block.resolution)
            x, image = block(x, image, w, maps)
        assert image is not None  # there is always a block of 8 px
        return torch.einsum("dc,nchw->ndhw", self.colors, image) + self.color_mean[:, None, None]

    @torch.no_grad()
    def use_colors_of(self, patches: UInt8[Tensor, "n 3 h w"]) -> None:
        """Draw in the principal colours of these patches, so that a map of unit variance is a plausible image.

        Stained tissue lies next to a plane in RGB (haematoxylin and eosin). A generator that starts from those axes
        need not find them first; it can still leave them, since the three maps are free.
        """
        pixels = (patches[:, :, ::4, ::4].double() / 127.5 - 1).transpose(0, 1).flatten(1)
        variances, axes = torch.linalg.eigh(torch.cov(pixels))
        axes = axes * torch.where(axes.sum(dim=0) < 0, -1.0, 1.0)  # a sign that does not depend on the library
        self.colors.copy_(axes * variances.clamp(min=1e-6).sqrt())
        self.color_mean.copy_(pixels.mean(dim=1))

    def _blocks(self) -> list[SynthesisBlock]:
        return [block for block in self.blocks.values() if isinstance(block, SynthesisBlock)]


def freeze_below(generator: Generator, resolution: int, *, rgb_trains: bool) -> None:
    """Fix all layers below `resolution` (paper A2), except, if `rgb_trains`, those that read images off features."""
    generator.requires_grad_(False)
    for size, block in generator.blocks.items():
        if int(size) >= resolution:
            block.requires_grad_(True)
        elif rgb_trains:
            assert isinstance(block, SynthesisBlock)
            block.to_rgb.requires_grad_(True)
