"""Training pairs where the model computes: slides and conditions resident on the device when they fit."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.device import to_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from g2m_cli.task import Batch
    from g2m_data import PairedDataset

_SHARE_OF_DEVICE = 0.25  # of free accelerator memory that resident slides may take


class TrainingPairs:
    """Pairs of a dataset as batches of tensors.

    Parameters
    ----------
    dataset
        The paired dataset.
    rows
        Which of its pairs, as positions; all of them by default.
    device
        Where batches are wanted.
    embedding
        Condition of every pair of the dataset, float32 (n, dim); given to generators as ``embedding``.
    expression
        Whether batches carry the pairs' ``expression``.

    Attributes
    ----------
    moments
        A frozen autoencoder's latents of these pairs, float16 (pair, view, channel, height, width), in their order;
        once set, batches carry them in place of the ``patch``.
    """

    moments: NDArray[np.float16] | None = None

    def __init__(
        self,
        dataset: PairedDataset,
        device: torch.device,
        *,
        rows: NDArray[np.int64] | None = None,
        embedding: NDArray[np.float32] | None = None,
        expression: bool = False,
    ) -> None:
        import torch

        self.dataset, self.device, self.with_expression = dataset, device, expression
        self.rows = np.arange(len(dataset)) if rows is None else np.asarray(rows)
        self.section = dataset.obs["sample"].cat.codes.to_numpy().astype(np.int64)
        self.embedding = None if embedding is None else torch.from_numpy(np.ascontiguousarray(embedding)).to(device)
        self.resident = ResidentSlides(dataset, device) if fits_on(dataset, device) else None

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, rows: NDArray[np.int64]) -> TrainingPairs:
        """Give other pairs of the same dataset; slides and conditions are on the device once for both."""
        other = copy.copy(self)
        other.rows, other.moments = rows, None
        return other

    def batch(self, indices: NDArray[np.int64], keys: NDArray[np.int64]) -> Batch:
        """Give pairs with their keys, all on the device; see ``docs/architecture.md`` for the names and shapes."""
        rows = self.rows[indices]
        batch: dict[str, Tensor] = {
            "key": to_device(keys, self.device),
            "section": to_device(self.section[rows], self.device),
        }
        if self.moments is None:
            batch["patch"] = self.patches(rows)
        else:
            batch["moments"] = to_device(self.moments[indices], self.device)
        if self.embedding is not None:
            batch["embedding"] = self.embedding[to_device(rows, self.device)]
        if self.with_expression:
            batch["expression"] = to_device(self.dataset.expression(rows), self.device)
        return batch

    def patches(self, rows: NDArray[np.int64]) -> Tensor:
        """Give patches, uint8 (n, 3, height, width)."""
        if self.resident is not None:
            return self.resident.patches(rows)
        return to_device(self.dataset.patches(rows), self.device).permute(0, 3, 1, 2)


class ResidentSlides:
    """Every slide of a dataset on the device, so that a batch of patches is one indexing operation there.

    Parameters
    ----------
    dataset
        The paired dataset.
    device
        Where the slides are kept.
    """

    def __init__(self, dataset: PairedDataset, device: torch.device) -> None:
        import torch

        samples = dataset.obs["sample"].to_numpy()
        self.size = int(dataset.manifest["patch"]["pixels"])
        slides, starts, width, start = [], np.empty(len(dataset), np.int64), np.empty(len(dataset), np.int64), 0
        for sample in dict.fromkeys(samples):
            slide = dataset.slide(sample)
            slides.append(torch.from_numpy(np.array(slide)).reshape(-1, 3))
            starts[samples == sample], width[samples == sample] = start, slide.shape[1]
            start += slide.shape[0] * slide.shape[1]
        # one long row of pixels: a patch's pixels are start + row * width + column
        self.pixels = torch.cat(slides).to(device)
        row, column = dataset.corners.astype(np.int64).T
        self.first = torch.from_numpy(starts + row * width + column).to(device)
        self.width = torch.from_numpy(width).to(device)

    def patches(self, rows: NDArray[np.int64]) -> Tensor:
        """Give patches, uint8 (n, 3, height, width)."""
        import torch

        at = to_device(rows, self.first.device)
        offset = torch.arange(self.size, device=at.device)
        index = self.first[at, None, None] + offset[:, None] * self.width[at, None, None] + offset
        return self.pixels[index].permute(0, 3, 1, 2)


def fits_on(dataset: Any, device: torch.device) -> bool:
    """Whether a dataset's slides should reside on an accelerator; in the host's memory they are mapped anyway."""
    import torch

    if device.type != "cuda":
        return False
    size = sum(dataset.slide(sample).nbytes for sample in dataset.obs["sample"].unique())
    return bool(size < _SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0])
