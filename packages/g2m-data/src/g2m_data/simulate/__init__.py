"""The phantom: an invented mouse kidney in genuine Space Ranger folders, whose truth is known."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2m_data.simulate.study import simulate_study

__all__ = ["simulate_study"]


def __getattr__(name: str) -> object:
    if name == "simulate_study":
        from g2m_data.simulate.study import simulate_study

        return simulate_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
