"""The pairs of one stored section: expression and patches, computed when asked for."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.bin_counts import read_bin_counts
from g2m_data.count_store import read_places, store_path
from g2m_data.image_store import open_pixels
from g2m_data.manifest import View
from g2m_data.resample import Resampling
from g2m_data.units import BIN_UM
from g2m_data.window_sums import WindowSums, compress
from g2m_data.windows import BinGrid, enumerate_windows, window_totals

ROWS_AT_ONCE = 256
"""Pairs whose counts are expanded to all genes at once."""


class SamplePairs:
    """Pairs of one section.

    Parameters
    ----------
    sample
        Its id.
    folder
        Its folder in the dataset.
    entry
        Its entry in `dataset.json`.
    view
        Windows, if it is Visium HD, in bins of 2 µm.
    patch_px
        Pixels along a patch's side.
    n_genes
        Genes of the panel.
    """

    def __init__(
        self, sample: str, folder: Path, entry: dict[str, Any], view: View, patch_px: int, n_genes: int
    ) -> None:
        self._n_genes = n_genes
        self._folder = folder
        self._patch_px = patch_px
        view = view.rescale(entry.get("bin_um", BIN_UM))
        self._store = store_path(folder, entry["platform"])
        self._target = float(entry["library_size_target"])
        places = read_places(self._store)
        if entry["platform"] == "visium-hd":
            self._grid, self._window_bins = BinGrid.from_array(places.array), view.window_bins
            rows = enumerate_windows(self._grid, view)
            totals = window_totals(self._grid, places.total_counts, rows, view.window_bins)
        else:
            self._grid, self._window_bins = BinGrid.of_spots(len(places.xy)), 1
            rows, totals = np.arange(len(places.xy)), places.total_counts
        plan = Resampling(**entry["slide"])
        corners = plan.corners(places.xy[rows], patch_px)
        inside = plan.inside(corners, patch_px)
        self._rows, self._totals = rows[inside], totals[inside]
        self.corners = corners[inside]
        """int32 (n, 2): top-left (row, column) of each patch in the resampled slide."""
        self.width_px = entry["patch_um"] / entry["mpp"]
        """Width of a patch in full-resolution pixels."""
        kept = self._rows
        self.obs = pd.DataFrame(
            {
                "sample": sample,
                "split": entry["split"],
                "platform": entry["platform"],
                "array_row": places.array[kept, 0],
                "array_col": places.array[kept, 1],
                "x": places.xy[kept, 0],
                "y": places.xy[kept, 1],
                "total_counts": self._totals,
            },
            index=pd.Index([f"{sample}:{barcode}" for barcode in places.barcodes[kept]], dtype=object),
        )
        """Indexed by `<sample>:<barcode>`."""

    def __len__(self) -> int:
        return len(self._rows)

    def expression(self, indices: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Write log1p of library-size normalised counts into `out`, float32 (n, gene)."""
        for start in range(0, len(indices), ROWS_AT_ONCE):
            part = indices[start : start + ROWS_AT_ONCE]
            factor = (self._target / np.maximum(self._totals[part], 1)).astype(np.float32)
            self._sums.express(part, factor, out[start : start + ROWS_AT_ONCE])

    def counts(self, indices: NDArray[np.int64]) -> sparse.csr_array:
        """Integer counts (n, gene), each gene once a row, in order."""
        blocks = [indices[start : start + ROWS_AT_ONCE] for start in range(0, len(indices), ROWS_AT_ONCE)]
        parts = [compress(self._sums.sum(block)) for block in blocks or [indices]]
        return sparse.csr_array(sparse.vstack(parts, format="csr"))

    def stream_counts(
        self, *, block: int, threads: int
    ) -> Iterator[tuple[slice, NDArray[np.uint16] | NDArray[np.int32]]]:
        """Counts of all pairs, dense, see :meth:`g2m_data.window_sums.WindowSums.stream`."""
        return self._sums.stream(block=block, threads=threads)

    def patches(self, indices: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Write patches into `out`, uint8 (n, px, px, 3)."""
        for patch, (top, left) in zip(out, self.corners[indices].tolist(), strict=True):
            patch[:] = self.slide[top : top + self._patch_px, left : left + self._patch_px]

    @cached_property
    def slide(self) -> NDArray[np.uint8]:
        """The resampled slide, uint8 (height, width, 3), memory-mapped."""
        return open_pixels(self._folder)

    @cached_property
    def _sums(self) -> WindowSums:
        counts = read_bin_counts(self._store, self._n_genes)
        return WindowSums.around(self._grid, counts, self._rows, self._window_bins)
