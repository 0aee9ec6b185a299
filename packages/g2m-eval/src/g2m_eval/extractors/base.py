"""What an extractor is, and what it is given."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


@runtime_checkable
class Patches(Protocol):
    """Patches that are sliced rather than held: a numpy, zarr or memory-mapped array, or a view of a dataset.

    How many there are is ``shape[0]``: zarr arrays have no length.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Some of them, uint8 ``(n, height, width, 3)``; ``rows`` is a slice."""
        ...


@runtime_checkable
class Extractor(Protocol):
    """Whatever turns images into features under a name that tells its numbers from those of other extractors."""

    @property
    def name(self) -> str:
        """Architecture, what it was trained on, and enough of its weights' hash to tell two apart."""
        ...

    def features(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n dim"]:
        """Features of uint8 RGB images of any one size."""
        ...
