from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from g2m_encoders.alignment import MINIMUM_SHARE, GeneAlignment, align_genes
from g2m_encoders.backbones import BackboneRecord, open_backbone
from g2m_encoders.batchnorm import make_batch_norm_global
from g2m_encoders.config import EncoderSettings
from g2m_encoders.errors import InputError
from g2m_encoders.expression import ExpressionEncoder
from g2m_encoders.image import ImageEncoder

_HIGHEST_SCALE = 100.0  # of similarities: CLIP's bound on 1 / temperature
BACKBONE_KEYS = "image.backbone."  # what a backbone's weights are called in a model's state


class ContrastiveModel(nn.Module):
    """Expression and image encoder in one space, with the gene panel they belong to (paper, Method, Phase 1).

    The weights of a frozen pretrained backbone are not in `state_dict`: neither checkpoints nor saved models copy them.

    Attributes
    ----------
    settings
        What it was built with; the image's mean and std as they are used.
    genes
        The panel: the order of the expression encoder's inputs.
    backbone_record
        Where the image backbone comes from.
    expression, image
        The encoders; `image.backbone` is the timm network. A model of expression alone has no `image`.
    gene_counts
        (gene,), mean normalised count of each gene in training; zeros before training.
    """

    gene_counts: Tensor
    log_scale: Tensor

    def __init__(
        self, settings: EncoderSettings, genes: Sequence[str], backbone: nn.Module | None, record: BackboneRecord
    ) -> None:
        super().__init__()
        if len(set(genes)) != len(genes):
            raise InputError(f"the gene panel names {len(genes) - len(set(genes))} genes twice; make gene names unique")
        self.genes = list(genes)
        self.backbone_record = record
        self.settings = settings
        self.expression = ExpressionEncoder(settings.expression, len(genes), settings.embedding_dim)
        if backbone is not None:
            self._add_image_encoder(backbone)
        self.register_buffer("gene_counts", torch.zeros(len(genes)))
        log_scale = torch.tensor(-math.log(settings.temperature))
        if settings.learn_temperature:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def _add_image_encoder(self, backbone: nn.Module) -> None:
        settings = self.settings
        if not settings.image.frozen:
            backbone = make_batch_norm_global(backbone)
        self.image = ImageEncoder(settings.image, backbone, settings.embedding_dim)
        self.settings = dataclasses.replace(settings, image=self.image.settings)
        if self.backbone_record.is_referenced(frozen=settings.image.frozen):
            self.register_state_dict_post_hook(_leave_backbone_out)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_pre_hook(_keep_backbone)  # type: ignore[no-untyped-call]

    @classmethod
    def build(cls, settings: EncoderSettings, genes: Sequence[str], *, seed: int = 0) -> ContrastiveModel:
        """A model to train; its random weights depend on `seed` alone.

        Raises
        ------
        InputError
            If the backbone cannot be had, or the panel names a gene twice.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone, record = open_backbone(settings.image.backbone, pretrained=settings.image.pretrained)
            return cls(settings, genes, backbone, record)

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """Divisor of the similarities, at least 0.01."""
        return torch.exp(-self.log_scale.clamp(max=math.log(_HIGHEST_SCALE)))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.gene_counts.device

    def embed_expression(self, expression: Float[Tensor, "batch gene"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of log1p expression in the panel's order (`align` brings others into it); differentiable."""
        embedding: Tensor = self.expression(expression)
        return embedding

    def embed_image(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of images in [-1, 1], of any size; differentiable in the images, frozen backbone or not.

        Raises
        ------
        InputError
            If the model was loaded without its image encoder.
        """
        self.require_image()
        embedding: Tensor = self.image(images)
        return embedding

    def require_image(self) -> None:
        """Refuse what a model of expression alone cannot do.

        Raises
        ------
        InputError
            If the model was loaded without its image encoder.
        """
        if not hasattr(self, "image"):
            raise InputError(
                "this encoder model was loaded without its image encoder (image=False); load its folder again with it"
            )

    def null_embedding(self) -> Float[Tensor, " dim"]:
        """Embedding of the all-zero expression: the condition that stands for none (paper, Training details)."""
        return self.embed_expression(torch.zeros(1, len(self.genes), device=self.device))[0]

    def align(self, genes: Sequence[str], *, minimum_share: float = MINIMUM_SHARE) -> GeneAlignment:
        """Match a section's genes to the panel by name.

        Raises
        ------
        InputError
            If less than `minimum_share` of the panel is found.
        """
        counts = self.gene_counts.cpu().numpy().astype(np.float64)
        return align_genes(
            self.genes, genes, usual_counts=counts if counts.any() else None, minimum_share=minimum_share
        )

    def forward(
        self,
        expression: Float[Tensor, "batch gene"],
        images: Float[Tensor, "batch 3 height width"],
        expression_noise: Float[Tensor, "batch noise1"] | None = None,
        image_noise: Float[Tensor, "batch noise2"] | None = None,
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, ""]]:
        """Both embeddings and the temperature, in one pass so that DistributedDataParallel sees every parameter."""
        return self.expression(expression, expression_noise), self.image(images, image_noise), self.temperature

    def save_pretrained(self, directory: Path | str, provenance: Mapping[str, Any] | None = None) -> None:
        """Write safetensors, config.json, genes.txt and a model card; see `g2m_encoders.storage`."""
        from g2m_encoders.storage import save_model

        save_model(self, Path(directory), provenance or {})

    @classmethod
    def from_pretrained(
        cls, directory: Path | str, *, backbone: str | Path | None = None, image: bool = True
    ) -> ContrastiveModel:
        """Read what `save_pretrained` wrote, in evaluation mode on the CPU.

        Parameters
        ----------
        directory
            The model's folder.
        backbone
            Where a backbone that was not saved with the model lies now, if not where it was: hub id or folder.
        image
            False: the expression encoder alone. No backbone is looked for; embedding images is refused.

        Raises
        ------
        InputError
            If files are missing, damaged or do not belong together.
        """
        from g2m_encoders.storage import load_model

        return load_model(Path(directory), backbone=backbone, image=image)


def _leave_backbone_out(_model: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state if key.startswith(prefix + BACKBONE_KEYS)]:
        del state[key]


def _keep_backbone(model: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for key, value in model.get_submodule("image.backbone").state_dict().items():
        state.setdefault(prefix + BACKBONE_KEYS + key, value)  # checkpoints of before hold them
