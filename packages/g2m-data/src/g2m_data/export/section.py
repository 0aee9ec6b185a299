"""What every format tells of a section."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.dataset import PairedDataset
from g2m_data.units import BIN_UM
from g2m_data.window_sums import compress

BLOCK = 256
"""Pairs held at once."""
NORMALISATION = "counts scaled to library_size_target in sum, then the natural log1p"


class ExportedSection:
    """One section of an open dataset, read in blocks."""

    def __init__(self, dataset: PairedDataset, sample: str) -> None:
        self.dataset, self.sample = dataset, sample
        self.entry: dict[str, Any] = dataset.manifest["samples"][sample]
        self.rows: NDArray[np.int64] = np.flatnonzero(dataset.obs["sample"] == sample)
        """Its pairs among all of the dataset's."""
        self.mpp: float = self.entry["mpp"]
        """Microns per full-resolution pixel."""
        self.scale: float = self.entry["slide"]["scale"]
        """Pixels of the resampled slide per full-resolution pixel."""
        self.width_px: float = self.entry["patch_um"] / self.mpp
        """Width of a patch, full-resolution pixels."""

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def obs(self) -> pd.DataFrame:
        """The pairs' table, as of the dataset and with the columns that scanpy's Visium reader gives."""
        table = self.dataset.obs.iloc[self.rows].drop(columns=["x", "y"])
        for column in ("sample", "split", "platform"):
            table[column] = table[column].cat.remove_unused_categories()
        table["barcode"] = [name.removeprefix(f"{self.sample}:") for name in table.index]
        return table.assign(in_tissue=1)

    @cached_property
    def xy(self) -> NDArray[np.float64]:
        """(n, 2) centres, full-resolution pixels."""
        return self.dataset.obs[["x", "y"]].to_numpy()[self.rows]

    @property
    def about(self) -> dict[str, Any]:
        """What the numbers are, and how the dataset's own come from them."""
        view = self.dataset.view.rescale(self.entry.get("bin_um", BIN_UM))
        windows = {"bin_um": self.entry.get("bin_um", BIN_UM), **view.settings}
        return {
            "dataset": self.dataset.manifest["id"],
            "study": self.dataset.manifest["study"],
            "gene_hash": self.dataset.manifest["gene_hash"],
            "X": "counts",
            "normalisation": NORMALISATION,
            "library_size_target": self.entry["library_size_target"],
            "mpp": self.mpp,
            "patch_um": float(self.entry["patch_um"]),
            "patch_pixels": self.dataset.patch_px,
            "coordinates": "centres, (x, y), full-resolution pixels; integers are pixel centres",
            **({"windows": windows} if self.entry["platform"] == "visium-hd" else {}),
        }

    def blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.int64]]:
        """The section's pairs, a block at a time."""
        for start in range(0, len(self), size):
            yield self.rows[start : start + size]

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self) // BLOCK)

    def counts(self) -> Iterator[sparse.csr_array]:
        """The counts of each block as scanpy's readers give them: float32, exact up to 2**24."""
        for _, dense in self.dataset.stream_counts(self.sample, block=BLOCK):
            yield compress(dense).astype(np.float32)
