"""How long work reports its progress without knowing who shows it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """A callable with the signature of :func:`rich.progress.track`."""

    def __call__(self, sequence: Iterable[T], /, description: str = ..., total: float | None = ...) -> Iterable[T]:
        """Pass the items through, showing how far they have come."""
        ...


def silent(sequence: Iterable[T], /, description: str = "", total: float | None = None) -> Iterable[T]:
    """Pass the items through and show nothing."""
    return sequence
