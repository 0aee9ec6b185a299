"""The small convolutional network of the metrics."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """What decides the network's parameters.

    Attributes
    ----------
    widths
        Channels of the stages, each of which halves the resolution; the features are twice as many as the last.
    classes
        Outputs of the classifying head; 0 builds none.
    """

    widths: tuple[int, ...] = (24, 64, 128, 128)
    classes: int = 0

    @property
    def features(self) -> int:
        """Dimension of the features."""
        return 2 * self.widths[-1]


class SmallCnn(nn.Module):
    """Plain 3 x 3 convolutions, then mean and maximum over the patch; 0.24 M parameters.

    Shallow, because it has to learn texture within seconds on two cores. The maximum sees what is somewhere in the
    patch (a glomerulus, say), the mean what is everywhere.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        stem, *rest = shape.widths
        layers: list[nn.Module] = [
            nn.Conv2d(3, stem, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
        ]
        for before, after in zip(shape.widths, rest, strict=False):
            layers += [
                nn.MaxPool2d(2, ceil_mode=True),
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.stages = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.head = nn.Linear(shape.features, shape.classes) if shape.classes else None

    def forward(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n dim"]:
        """Features of images in [0, 1]."""
        maps = self.stages(((images - 0.7) / 0.2).contiguous(memory_format=torch.channels_last))
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    def merged(self) -> SmallCnn:
        """Copy for evaluation only, each normalisation merged into the convolution before it: one pass less."""
        copy = deepcopy(self).eval()
        layers: list[nn.Module] = []
        for layer in copy.stages:
            if isinstance(layer, nn.BatchNorm2d):
                convolution = layers.pop()
                assert isinstance(convolution, nn.Conv2d)
                layers.append(fuse_conv_bn_eval(convolution, layer))
            else:
                layers.append(layer)
        copy.stages = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        return copy

    def classify(self, features: Float[Tensor, "n dim"]) -> Float[Tensor, "n class"]:
        """Logits of the classifying head."""
        if self.head is None:
            raise RuntimeError("this network was built without a classifying head")
        logits: Tensor = self.head(features)
        return logits
