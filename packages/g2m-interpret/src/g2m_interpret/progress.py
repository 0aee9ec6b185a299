"""How long work reports where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[..., Iterable[Any]]
"""As ``rich.progress.track``: (sequence, description=..., total=...)."""


def pass_through(sequence: Iterable[Any], **_: Any) -> Iterable[Any]:
    """The silent default of ``track``."""
    return sequence
