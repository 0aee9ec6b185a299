"""The small convolutional network of the metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """What decides the network's parameters.

    Attributes
    ----------
    widths
        Channels of the stages; each stage halves the resolution. The last is the dimension of the features.
    classes
        Outputs of the classifying head; 0 builds none.
    """

    widths: tuple[int, ...] = (24, 48, 96, 128)
    classes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self) | {"widths": list(self.widths)}


class SmallCnn(nn.Module):
    """Stages of strided and residual 3 x 3 convolutions, averaged over the patch; 0.3 M parameters.

    Group normalisation, because a batch norm's running statistics would carry the stain of the training section.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        widths = (3, *shape.widths)
        self.stages = nn.ModuleList(
            _Stage(before, after, residual=i > 0) for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.head = nn.Linear(shape.widths[-1], shape.classes) if shape.classes else None

    def forward(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n dim"]:
        """Features of images in [0, 1]."""
        x = ((images - 0.7) / 0.2).contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return x.mean(dim=(2, 3))

    def classify(self, features: Float[Tensor, "n dim"]) -> Float[Tensor, "n class"]:
        """Logits of the classifying head."""
        if self.head is None:
            raise RuntimeError("this network was built without a classifying head")
        logits: Tensor = self.head(features)
        return logits


class _Stage(nn.Module):
    def __init__(self, before: int, after: int, *, residual: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm = nn.GroupNorm(8, after)
        self.conv = nn.Conv2d(after, after, 3, padding=1, bias=False) if residual else None
        self.conv_norm = nn.GroupNorm(8, after) if residual else None

    def forward(self, x: Float[Tensor, "n before height width"]) -> Float[Tensor, "n after h w"]:
        x = torch.relu(self.norm(self.down(x)))
        if self.conv is not None and self.conv_norm is not None:
            x = torch.relu(x + self.conv_norm(self.conv(x)))
        return x
