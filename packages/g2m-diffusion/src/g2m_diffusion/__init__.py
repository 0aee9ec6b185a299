"""Diffusion and flow matching: histology patches from gene-expression embeddings."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g2m_diffusion.autoencoder import AutoencoderTask, load_autoencoder
    from g2m_diffusion.condition import ExpressionCondition
    from g2m_diffusion.config import (
        AUTOENCODER_PRESETS,
        FAMILIES,
        PRESETS,
        STUDY,
        AutoencoderSettings,
        DiffusionSettings,
    )
    from g2m_diffusion.errors import InputError
    from g2m_diffusion.hub import pretrained_id
    from g2m_diffusion.moments import write_moments
    from g2m_diffusion.pipeline import ExpressionDiffusionPipeline
    from g2m_diffusion.task import DiffusionTask

__all__ = [
    "AUTOENCODER_PRESETS",
    "FAMILIES",
    "PRESETS",
    "STUDY",
    "AutoencoderSettings",
    "AutoencoderTask",
    "DiffusionSettings",
    "DiffusionTask",
    "ExpressionCondition",
    "ExpressionDiffusionPipeline",
    "InputError",
    "load_autoencoder",
    "pretrained_id",
    "write_moments",
]

_HOMES = {
    "AUTOENCODER_PRESETS": "config",
    "FAMILIES": "config",
    "PRESETS": "config",
    "STUDY": "config",
    "AutoencoderSettings": "config",
    "AutoencoderTask": "autoencoder",
    "DiffusionSettings": "config",
    "DiffusionTask": "task",
    "ExpressionCondition": "condition",
    "ExpressionDiffusionPipeline": "pipeline",
    "InputError": "errors",
    "load_autoencoder": "autoencoder",
    "pretrained_id": "hub",
    "write_moments": "moments",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
