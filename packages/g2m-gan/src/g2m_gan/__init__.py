"""StyleGAN-G: histology patches from gene-expression embeddings."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g2m_gan.config import PRESETS, GanSettings
    from g2m_gan.errors import InputError
    from g2m_gan.growing import stages
    from g2m_gan.losses import spherical_distance
    from g2m_gan.model import StyleGanG
    from g2m_gan.task import GanTask

__all__ = ["PRESETS", "GanSettings", "GanTask", "InputError", "StyleGanG", "spherical_distance", "stages"]

_HOMES = {
    "PRESETS": "config",
    "GanSettings": "config",
    "GanTask": "task",
    "InputError": "errors",
    "StyleGanG": "model",
    "spherical_distance": "losses",
    "stages": "growing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
