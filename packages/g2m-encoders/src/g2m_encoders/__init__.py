"""Gene expression and histology image encoders in one space."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g2m_encoders.alignment import GeneAlignment
    from g2m_encoders.backbones import BackboneRecord, fetch_backbone, load_backbone
    from g2m_encoders.config import PRESETS, EncoderSettings
    from g2m_encoders.embed import embed_pairs
    from g2m_encoders.errors import InputError
    from g2m_encoders.features import MultilevelFeatures
    from g2m_encoders.loss import chance_loss, contrastive_loss, floor_loss, retrieval_at_k
    from g2m_encoders.model import ContrastiveModel
    from g2m_encoders.sampling import choose_pairs
    from g2m_encoders.task import ContrastiveTask

_HOME = {
    "BackboneRecord": "backbones",
    "ContrastiveModel": "model",
    "ContrastiveTask": "task",
    "EncoderSettings": "config",
    "GeneAlignment": "alignment",
    "InputError": "errors",
    "MultilevelFeatures": "features",
    "PRESETS": "config",
    "chance_loss": "loss",
    "choose_pairs": "sampling",
    "contrastive_loss": "loss",
    "embed_pairs": "embed",
    "fetch_backbone": "backbones",
    "floor_loss": "loss",
    "load_backbone": "backbones",
    "retrieval_at_k": "loss",
}

__all__ = [
    "PRESETS",
    "BackboneRecord",
    "ContrastiveModel",
    "ContrastiveTask",
    "EncoderSettings",
    "GeneAlignment",
    "InputError",
    "MultilevelFeatures",
    "chance_loss",
    "choose_pairs",
    "contrastive_loss",
    "embed_pairs",
    "fetch_backbone",
    "floor_loss",
    "load_backbone",
    "retrieval_at_k",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
