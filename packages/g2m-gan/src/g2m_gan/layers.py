"""Building blocks of the generator, in plain PyTorch (Karras et al. 2020, 2021; Sauer et al. 2023; paper P6)."""

import contextlib
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # of the leaky rectifier
ACTIVATION_GAIN = math.sqrt(2)  # keeps the second moment through it


def full_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Leave a mixed precision for what half a mantissa would spoil."""
    return torch.autocast(device.type, enabled=False)


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled at run time, so that all layers learn at the same pace.

    Parameters
    ----------
    lr_multiplier
        Learning rate of this layer relative to the optimiser's.
    bias_init
        What the bias adds at the start.
    """

    def __init__(self, inputs: int, outputs: int, *, lr_multiplier: float = 1.0, bias_init: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Map rows."""
        return functional.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class SecondOrderStyle(nn.Module):
    """One affine map of w to three vectors; the style is m1 * m2 + m3, all of them 1 at w = 0 at the start."""

    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.affine = EqualLinear(w_dim, 3 * channels, bias_init=1.0)

    def forward(self, w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channel"]:
        """Give the factor of each channel."""
        m1, m2, m3 = self.affine(w).chunk(3, dim=1)
        return torch.addcmul(m3, m1, m2)


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Double the size with the filter [1, 3, 3, 1], the border repeated: that is bilinear interpolation."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class UpsamplingFilter(nn.Module):
    """Low-pass [1, 3, 3, 1] in both directions after a transposed convolution of stride 2: (2h + 1) px become 2h."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4  # sums to 2: three of four inputs are zeros put in between
        self.register_buffer("taps", torch.outer(taps, taps), persistent=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h1 w1"]:
        """Filter every channel on its own."""
        channels = x.shape[1]
        kernel = self.taps.to(x.dtype).expand(channels, 1, 4, 4)
        return functional.conv2d(x, kernel, padding=1, groups=channels)


class ModulatedConv(nn.Module):
    """A 3 x 3 convolution whose input channels are scaled by a style and whose outputs are brought back to unit scale.

    The activations are scaled, not the weights: x * style, one shared convolution, times the demodulation factor. That
    is the same function as a convolution with its own weights for every sample, at the cost of an ordinary one.

    Parameters
    ----------
    up
        Double the size, by a transposed convolution and the filter [1, 3, 3, 1].
    gain
        Factor of the output.
    clamp
        Bound of the output's absolute value before `gain`; 0: none.
    """

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, *, up: bool = False, gain: float = 1.0, clamp: float = 0.0
    ) -> None:
        super().__init__()
        self.style = SecondOrderStyle(w_dim, inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.filter = UpsamplingFilter() if up else None
        self.weight_gain = 1 / math.sqrt(inputs * 9)
        self.gain = gain
        self.clamp = clamp * gain

    def forward(
        self, x: Float[Tensor, "n c h w"], w: Float[Tensor, "n w_dim"], noise: Float[Tensor, "n 1 h2 w2"]
    ) -> Float[Tensor, "n c2 h2 w2"]:
        """Convolve, add noise and bias, rectify."""
        style = self.style(w)
        weight = self.weight * self.weight_gain
        with full_precision(x.device):
            demodulation = torch.rsqrt(style.float().square() @ weight.square().sum(dim=(2, 3)).T + 1e-8)
        x = x * style[:, :, None, None].to(x.dtype)
        if self.filter is None:
            x = functional.conv2d(x, weight, padding=1)
        else:
            x = self.filter(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        # The rectifier is homogeneous: its gain and the layer's go into factors that are applied anyway.
        gain = ACTIVATION_GAIN * self.gain
        scale = (demodulation * gain)[:, :, None, None].to(x.dtype)
        x = torch.addcmul((self.bias * gain)[:, None, None].to(x.dtype), x, scale)
        x = functional.leaky_relu(x + (noise * (self.noise_strength * gain)).to(x.dtype), SLOPE)
        return x.clamp(-self.clamp, self.clamp) if self.clamp > 0 else x


class ResidualConv(nn.Module):
    """(x + gamma * convolution(normalised x)) * sqrt 2, with gamma, one a channel, next to 0 at the start."""

    def __init__(self, channels: int, w_dim: int, *, groups: int, layer_scale: float, clamp: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(groups, channels), channels)
        self.conv = ModulatedConv(channels, channels, w_dim, gain=math.sqrt(0.5), clamp=clamp)
        self.gamma = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(
        self, x: Float[Tensor, "n c h w"], w: Float[Tensor, "n w_dim"], noise: Float[Tensor, "n 1 h w"]
    ) -> Float[Tensor, "n c h w"]:
        """Add the branch; statistics are taken in fp32."""
        branch = self.conv(self.norm(x.float()).to(x.dtype), w, noise)
        gamma = (self.gamma * math.sqrt(2))[:, None, None].to(x.dtype)
        return torch.addcmul(x * math.sqrt(2), branch, gamma)


class ToRGB(nn.Module):
    """Read an image off the features: a 1 x 1 convolution with a style and without demodulation."""

    def __init__(self, channels: int, w_dim: int, *, init: float = 1.0, clamp: float = 0.0) -> None:
        super().__init__()
        self.style = SecondOrderStyle(w_dim, channels)
        self.weight = nn.Parameter(torch.randn(3, channels, 1, 1) * init)
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(channels)
        self.clamp = clamp

    def forward(self, x: Float[Tensor, "n c h w"], w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n 3 h w"]:
        """Give this block's share of the image, fp32."""
        style = (self.style(w) * self.weight_gain)[:, :, None, None].to(x.dtype)
        x = functional.conv2d(x * style, self.weight.to(x.dtype)).float() + self.bias[:, None, None]
        return x.clamp(-self.clamp, self.clamp) if self.clamp > 0 else x


class FourierInput(nn.Module):
    """Learned mixture of sine waves on a small grid, which w can turn and shift (Karras et al. 2021)."""

    frequencies: Tensor
    phases: Tensor
    grid: Tensor

    def __init__(self, channels: int, size: int, w_dim: int, *, bandwidth: float) -> None:
        super().__init__()
        radius, angle = bandwidth * torch.rand(channels).sqrt(), 2 * math.pi * torch.rand(channels)
        self.register_buffer("frequencies", torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1))
        self.register_buffer("phases", torch.rand(channels))
        centres = (torch.arange(size) + 0.5) / size - 0.5
        self.register_buffer("grid", torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1))
        self.affine = EqualLinear(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.weight_gain = 1 / math.sqrt(channels)

    def forward(self, w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channel size size"]:
        """Draw the waves, turned and shifted by the four numbers that w maps to."""
        with full_precision(w.device):
            return self._waves(w.float())

    def _waves(self, w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channel size size"]:
        cos, sin, shift_x, shift_y = self.affine(w).unbind(dim=1)
        length = torch.hypot(cos, sin)
        cos, sin = cos / length, sin / length
        turn = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
        position = (
            torch.einsum("nij,hwj->nhwi", turn, self.grid) + torch.stack([shift_x, shift_y], dim=1)[:, None, None]
        )
        waves = torch.sin(2 * math.pi * (position @ self.frequencies.T + self.phases))
        return (waves @ (self.weight * self.weight_gain).T).permute(0, 3, 1, 2)
