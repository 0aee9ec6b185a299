import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from g2m_encoders.config import ImageSettings
from g2m_encoders.preprocessing import own_normalisation
from g2m_encoders.projection import ProjectionHead


def resize(images: Float[Tensor, "batch 3 height width"], size: int) -> Float[Tensor, "batch 3 size size"]:
    """Resize by area averaging (the paper's resampling); the identity where the size is right already."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, size=(size, size), mode="area")


class Normalize(nn.Module):
    """From [-1, 1] to what a backbone was trained on: resized by area, then (x - mean) / std of [0, 1] values."""

    mean: Tensor
    std: Tensor

    def __init__(self, input_size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.input_size = input_size
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 size size"]:
        """Differentiable in the images."""
        return ((resize(images, self.input_size) + 1) / 2 - self.mean) / self.std


class ImageEncoder(nn.Module):
    """From a patch to a unit vector: a timm backbone, frozen or trained along, and a head (paper, Method, Phase 1).

    Parameters
    ----------
    settings
        Input size, normalisation, whether the backbone is frozen.
    backbone
        A timm model without classifier: pooled features (n, num_features).
    embedding_dim
        Dimension of the shared space.

    Attributes
    ----------
    settings
        With the mean and std that are used, the backbone's own where the given settings leave them open.
    """

    def __init__(self, settings: ImageSettings, backbone: nn.Module, embedding_dim: int) -> None:
        super().__init__()
        mean, std = own_normalisation(backbone)
        mean, std = settings.mean or mean, settings.std or std
        self.settings = dataclasses.replace(settings, mean=mean, std=std)
        self.frozen = settings.frozen
        self.normalize = Normalize(settings.input_size, mean, std)
        self.backbone = backbone.to(memory_format=torch.channels_last)  # convolutions on CPUs and GPUs are faster so
        self.head = ProjectionHead(int(backbone.num_features), embedding_dim, settings.dropout)  # type: ignore[arg-type]
        self.noise_width = self.head.noise_width
        if self.frozen:
            self.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "ImageEncoder":
        """As in torch, except that a frozen backbone stays in evaluation mode (its batch norms must not drift)."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], noise: Float[Tensor, "batch noise"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Embeddings of unit norm of images in [-1, 1], of any size; `noise` as in the projection head."""
        embedding: Tensor = self.head(self.features(images), noise)
        return embedding

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature"]:
        """What the backbone gives the head.

        Gradients reach the images also through a frozen backbone (guidance needs them); without a differentiable input
        nothing of a frozen backbone is kept for a backward pass.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and (not self.frozen or images.requires_grad)):
            features: Tensor = self.backbone(self.normalize(images))
        return features
