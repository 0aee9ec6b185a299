"""The projected discriminator: small trainable heads over a frozen network's features (Sauer et al. 2023; paper P6)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from g2m_gan.config import DiscriminatorSettings
from g2m_gan.errors import InputError
from g2m_gan.layers import SLOPE, full_precision

Features = Sequence[Tensor]  # each (n, token, channel) or (n, channel, height, width)


class BatchNormLocal(nn.Module):
    """Normalise groups of consecutive samples, without running statistics.

    A batch scores exactly like its groups one by one, so that neither micro-batches nor processes change anything.
    A batch smaller than one group is a group.
    """

    def __init__(self, channels: int, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "n channel *position"]) -> Float[Tensor, "n channel *position"]:
        """Give each channel of each group mean 0 and variance 1 over samples and positions, then scale and shift it."""
        group = min(self.group_size, len(x))
        if len(x) % group:
            raise InputError(
                f"a batch of {len(x)} cannot be normalised in groups of {group}: use a multiple of {group}"
            )
        if x.device.type != "cpu":
            return self._all_at_once(x.float(), group).to(x.dtype)
        # PyTorch's own kernel a group at a time: five times as fast on a CPU as statistics over reshaped groups.
        normalised = [
            functional.batch_norm(part, None, None, self.weight, self.bias, training=True)
            for part in torch.split(x.float(), group)
        ]
        return torch.cat(normalised).to(x.dtype)

    def _all_at_once(self, x: Float[Tensor, "n channel *position"], group: int) -> Float[Tensor, "n channel *position"]:
        """The same in one kernel, where starting one costs more than what it does: a group's channels are its own."""
        n, channels = x.shape[:2]
        rows = x.reshape(n // group, group, channels, -1).transpose(0, 1).reshape(group, n // group * channels, -1)
        repeated = (n // group,)
        weight, bias = self.weight.repeat(repeated), self.bias.repeat(repeated)
        normalised = functional.batch_norm(rows, None, None, weight, bias, training=True)
        return normalised.reshape(group, n // group, channels, -1).transpose(0, 1).reshape(x.shape)


class SpectralConv(nn.Module):
    """A convolution over 1 or 2 axes whose matrix has largest singular value 1 (Miyato et al. 2018).

    The singular vectors move only in `refresh`, once a step, so that a pass over micro-batches leaves no trace.
    """

    u: Tensor
    v: Tensor

    def __init__(self, axes: int, inputs: int, outputs: int, kernel: int = 1, *, padding: str = "zeros") -> None:
        super().__init__()
        fan_in = inputs * kernel**axes
        self.weight = nn.Parameter((torch.rand(outputs, inputs, *[kernel] * axes) * 2 - 1) / math.sqrt(fan_in))
        self.ring = [(kernel - 1) // 2, kernel // 2] * axes if padding == "circular" and kernel > 1 else []
        self.convolve = functional.conv1d if axes == 1 else functional.conv2d
        self.register_buffer("u", functional.normalize(torch.randn(outputs), dim=0))
        self.register_buffer("v", functional.normalize(torch.randn(fan_in), dim=0))
        for _ in range(10):
            self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """One power iteration."""
        matrix = self.weight.flatten(1)
        self.v.copy_(functional.normalize(matrix.T @ self.u, dim=0))
        self.u.copy_(functional.normalize(matrix @ self.v, dim=0))

    def forward(self, x: Float[Tensor, "n channel *position"]) -> Float[Tensor, "n out *position"]:
        """Convolve; the size stays."""
        with full_precision(x.device):
            norm = self.u @ self.weight.flatten(1) @ self.v
        if self.ring:
            x = functional.pad(x, self.ring, mode="circular")
        return self.convolve(x, self.weight / norm, padding="valid" if self.ring else "same")


class Head(nn.Module):
    """One set of features and a condition to one logit a position.

    Token sequences get a residual convolution of `head_kernel` taps along the sequence, closed to a ring; feature maps
    one of as many taps in a square.

    No convolution has a bias. In front of a normalisation it would cancel; in the last one, which meets the same
    conditions on the real and on the generated side, so would its gradient while all logits lie within the margin. An
    optimiser that divides a gradient of mere rounding noise by its own size walks such a parameter at random.
    """

    def __init__(self, settings: DiscriminatorSettings, channels: int, axes: int, condition_dim: int) -> None:
        super().__init__()
        kernel = settings.head_kernel if axes == 1 else max(round(math.sqrt(settings.head_kernel)), 1)
        padding = "circular" if axes == 1 else "zeros"
        self.entry = SpectralConv(axes, channels, channels)
        self.entry_norm = BatchNormLocal(channels, settings.group_size)
        self.residual = SpectralConv(axes, channels, channels, kernel, padding=padding)
        self.residual_norm = BatchNormLocal(channels, settings.group_size)
        self.classify = SpectralConv(axes, channels, settings.projection_dim)
        self.project = nn.Linear(condition_dim, settings.projection_dim)

    def forward(
        self, x: Float[Tensor, "n channel *position"], conditions: Float[Tensor, "m dim"]
    ) -> Float[Tensor, "m flat"]:
        """Compare features with conditions; conditions beyond the n-th belong to the first samples again."""
        x = functional.leaky_relu(self.entry_norm(self.entry(x)), SLOPE)
        branch = functional.leaky_relu(self.residual_norm(self.residual(x)), SLOPE)
        x = self.classify((x + branch) / math.sqrt(2)).flatten(2)
        if len(conditions) > len(x):
            x = torch.cat([x, x[: len(conditions) - len(x)]])
        direction = self.project(conditions)
        return torch.bmm(direction[:, None].to(x.dtype), x)[:, 0] / math.sqrt(direction.shape[1])


class Discriminator(nn.Module):
    """A head for each set of features.

    Parameters
    ----------
    feature_shapes
        Shapes of the frozen network's outputs without the batch: (token, channel) or (channel, height, width).
    condition_dim
        Length of the expression embedding.
    """

    def __init__(
        self, settings: DiscriminatorSettings, feature_shapes: Sequence[Sequence[int]], condition_dim: int
    ) -> None:
        super().__init__()
        self.settings = settings
        self.levels = settings.levels or tuple(range(len(feature_shapes)))
        if not 0 <= min(self.levels) <= max(self.levels) < len(feature_shapes):
            raise InputError(
                f"discriminator.levels is {self.levels}: this feature network has levels 0 to {len(feature_shapes) - 1}"
            )
        shapes = [feature_shapes[level] for level in self.levels]
        self.heads = nn.ModuleList(
            Head(settings, shape[1] if len(shape) == 2 else shape[0], len(shape) - 1, condition_dim) for shape in shapes
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, features: Features, conditions: Float[Tensor, "m dim"]) -> list[Tensor]:
        """Give logits (m, position), one tensor a head; conditions beyond the n-th go to the first samples again."""
        conditions = conditions * self.settings.condition_gain
        chosen = [features[level] for level in self.levels]
        return [
            head(x.transpose(1, 2) if x.ndim == 3 else x, conditions).float()
            for head, x in zip(self.heads, chosen, strict=True)
        ]

    def refresh_norms(self) -> None:
        """One power iteration in every convolution; call once a step."""
        for module in self.modules():
            if isinstance(module, SpectralConv):
                module.refresh()


def add_pixels(
    features: list[Tensor], images: Float[Tensor, "n 3 h w"], settings: DiscriminatorSettings
) -> list[Tensor]:
    """Add the image itself to its features, cells of `pixel_cell` x `pixel_cell` pixels as channels, if that is set."""
    if not settings.pixel_cell:
        return features
    return [*features, functional.pixel_unshuffle(images, settings.pixel_cell)]


@torch.no_grad()
def feature_shapes(network: nn.Module, settings: DiscriminatorSettings, resolution: int) -> list[tuple[int, ...]]:
    """Shapes of all that heads can see of an image of a stage's resolution, without the batch.

    Raises
    ------
    InputError
        The network does not give a list of 3-D token sequences or 4-D feature maps.
    """
    width = settings.feature_px or resolution
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    blank = torch.zeros(1, 3, width, width, device=device)
    outputs = network(blank)
    if not isinstance(outputs, list | tuple) or not outputs or any(x.ndim not in (3, 4) for x in outputs):
        raise InputError(
            f"feature_network gave {type(outputs).__name__}: expected a list of tensors "
            "(n, token, channel) or (n, channel, height, width)"
        )
    return [tuple(x.shape[1:]) for x in add_pixels(list(outputs), blank, settings)]
