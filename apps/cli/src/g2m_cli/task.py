"""What the training loop asks of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Batch = Mapping[str, "Tensor"]


class Task(Protocol):
    """A stage that can be trained; satisfied structurally by the libraries' tasks."""

    def prepare(self, accelerator: Any) -> None:
        """Wrap modules and optimisers, and move them to the device."""

    def step(self, batch: Batch, images_seen: int) -> Mapping[str, Tensor]:
        """Make one optimiser update; give its losses, detached."""

    def evaluate(self, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Score the model as it would be exported now."""

    def state_dict(self) -> dict[str, Any]:
        """Give everything that ``Accelerate`` does not keep: tensors and numbers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""

    def export(self, directory: Path, provenance: Mapping[str, Any]) -> None:
        """Save the model for others (``save_pretrained``)."""


@runtime_checkable
class Draws(Protocol):
    """A task that can show what it draws."""

    def sample(self, conditions: Tensor, seed: int) -> Tensor:
        """Draw one image for each condition: uint8 (n, height, width, 3)."""


class PairSource(Protocol):
    """Training pairs as the loop takes them."""

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64], keys: NDArray[np.int64]) -> Batch:
        """Give pairs as tensors on the device, with the key of each."""
