"""Features of a frozen backbone at several depths: what a projected discriminator reads."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from g2m_encoders.image import Normalize
from g2m_encoders.preprocessing import own_normalisation

_REFERENCE_BLOCKS = (2, 5, 8, 11)  # of a transformer of 12 blocks


class MultilevelFeatures(nn.Module):
    """Feature maps or tokens of a frozen backbone, differentiable with respect to the images.

    A vision transformer gives (n, token, channel): its patch embedding with positions, then the tokens after some
    blocks, each with the class token added to every patch token (paper, discriminator). A convolutional network gives
    (n, channel, height, width), one map a stage, finest first.

    Parameters
    ----------
    backbone
        A timm network. It is frozen here, in evaluation mode for good; `ContrastiveModel.image.backbone` is one.
    input_size
        Side in pixels that images are resized to, by area; None = the backbone's own.
    mean, std
        Of [0, 1] RGB; None = the backbone's own.
    blocks
        A transformer's blocks to read after, counted from 0; default 2, 5, 8, 11 scaled to its depth.

    Attributes
    ----------
    channels
        Number of channels of each feature set.
    """

    backbone: Any  # timm's networks share attributes, not a class

    def __init__(
        self,
        backbone: nn.Module,
        *,
        input_size: int | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        size = input_size or self.backbone.pretrained_cfg["input_size"][-1]
        own_mean, own_std = own_normalisation(backbone)
        self.normalize = Normalize(int(size), mean or own_mean, std or own_std)
        self.is_transformer = hasattr(backbone, "blocks") and hasattr(backbone, "num_prefix_tokens")
        self._sources = self._choose_sources(blocks)
        with torch.no_grad():
            device = next(backbone.parameters()).device
            features = self.to(device)(torch.zeros(1, 3, int(size), int(size), device=device))
        self.channels = [int(f.shape[-1] if self.is_transformer else f.shape[1]) for f in features]

    def _choose_sources(self, blocks: Sequence[int] | None) -> list[nn.Module]:
        if not self.is_transformer:
            stages = [info["module"] for info in self.backbone.feature_info]
            return [self.backbone.get_submodule(name) for name in stages]
        sequence = list(self.backbone.blocks)
        depth = len(sequence)
        chosen = blocks if blocks is not None else [(b + 1) * depth // 12 - 1 for b in _REFERENCE_BLOCKS]
        return [sequence[index] for index in sorted({max(index, 0) for index in chosen})]

    def train(self, mode: bool = True) -> "MultilevelFeatures":
        """Frozen: always in evaluation mode."""
        return super().train(False)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch ..."]]:
        """Feature sets of images in [-1, 1], of any size."""
        collected: list[Tensor] = []

        def keep_output(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            collected.append(output)

        def keep_input(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            collected.append(inputs[0])

        hooks = [source.register_forward_hook(keep_output) for source in self._sources]
        if self.is_transformer:
            hooks.append(self.backbone.blocks[0].register_forward_pre_hook(keep_input))
        try:
            self.backbone.forward_features(self.normalize(images))
        finally:
            for hook in hooks:
                hook.remove()
        return [self._merge_class_token(tokens) for tokens in collected] if self.is_transformer else collected

    def _merge_class_token(self, tokens: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch patch channel"]:
        prefix = int(self.backbone.num_prefix_tokens)
        patches = tokens[:, prefix:]
        return patches + tokens[:, :1] if prefix else patches
