"""The phantom: an invented mouse kidney in genuine Space Ranger folders, whose truth is known."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g2m_data.simulate.size import SectionSize, measure_study
    from g2m_data.simulate.study import simulate_study

__all__ = ["SectionSize", "measure_study", "simulate_study"]

_HOME = {"SectionSize": "size", "measure_study": "size", "simulate_study": "study"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
