"""Sums of counts over windows: streamed and gathered by g2m-data, looked up in AnnData, multiplied by scipy."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

SAMPLED = 30
"""Windows looked up in AnnData."""
CONSECUTIVE = 3000
"""Windows of scipy's product."""
BATCH = 128
BATCHES = 15
WARM = 2048
"""Windows summed before the clock starts, so that nothing is compiled while it runs."""


def stream(dataset: str, sample: str, folder: str) -> dict[str, float]:
    """Sum all windows once with the clock running; then again, every one of them checked, and some kept."""
    import numpy as np
    from scipy import sparse

    from g2m_data.window_sums import WindowSums

    grid, counts, centres, size, totals, _ = _section(dataset, sample)
    for _ in WindowSums.around(grid, counts, centres[:WARM], size).stream():
        pass
    began = time.perf_counter()
    for _ in WindowSums.around(grid, counts, centres, size).stream():
        pass
    seconds = time.perf_counter() - began

    kept, wanted = [], _compared(len(centres))
    for rows, sums in WindowSums.around(grid, counts, centres, size).stream():
        if not np.array_equal(sums.sum(axis=1, dtype=np.int64), totals[rows]):
            sys.exit(f"the sums of windows {rows.start} to {rows.stop} do not add up to the windows' totals")
        here = wanted[(wanted >= rows.start) & (wanted < rows.stop)]
        if len(here):
            kept.append(sparse.csr_array(sums[here - rows.start]))
    sparse.save_npz(Path(folder) / "sums.npz", sparse.csr_matrix(sparse.vstack(kept)))
    return {"windows": len(centres), "s": seconds, "bins": counts.shape[0], "nonzeros": counts.nnz}


def look_up(dataset: str, sample: str, folder: str) -> dict[str, float]:
    """AnnData asked for a window's barcodes and summed, as a user would; equal to what was streamed."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    from scipy import sparse

    grid, counts, centres, size, _, barcodes = _section(dataset, sample)
    adata = ad.AnnData(X=sparse.csr_matrix(_as_csr(counts)), obs=pd.DataFrame(index=barcodes))
    streamed = sparse.load_npz(Path(folder) / "sums.npz")
    wanted = _compared(len(centres))
    sampled = _sampled(len(centres))
    names = [barcodes[bins] for bins in _bins(grid, centres[sampled], size)]
    adata[names[0]].X.sum(0)  # the table of barcodes is made once, on the first look-up
    seconds = []
    for row, inside in zip(sampled, names, strict=True):
        began = time.perf_counter()
        found = adata[inside].X.sum(0)
        seconds.append(time.perf_counter() - began)
        if not np.array_equal(np.asarray(found), streamed[[np.searchsorted(wanted, row)]].toarray()):
            sys.exit(f"AnnData's sum of window {row} is another than the one that was streamed")
    return {"s_per_window": statistics.median(seconds), "windows": len(sampled)}


def multiply(dataset: str, sample: str, folder: str) -> dict[str, float]:
    """One product of a 0/1 matrix (windows x bins) with the counts; and random batches both ways, in turns."""
    import numpy as np
    from scipy import sparse

    from g2m_data.window_sums import WindowSums

    grid, counts, centres, size, _, _ = _section(dataset, sample)
    wanted, streamed = _compared(len(centres)), sparse.load_npz(Path(folder) / "sums.npz")
    rows, matrix = _consecutive(len(centres)), _as_csr(counts)
    indicator = _indicator(grid, centres[rows], size, counts.shape[0])
    began = time.perf_counter()
    product = indicator @ matrix
    seconds = time.perf_counter() - began
    if (product != streamed[np.searchsorted(wanted, rows)]).nnz:
        sys.exit("scipy's sums are others than those that were streamed")
    del product

    random = np.random.default_rng(1)
    gathered, multiplied = [], []
    for number in range(1 + BATCHES):
        batch = centres[random.choice(len(centres), size=BATCH, replace=False)]
        indicator = _indicator(grid, batch, size, counts.shape[0])
        began = time.perf_counter()
        sums = WindowSums.around(grid, counts, batch, size).sum(np.arange(BATCH))
        middle = time.perf_counter()
        product = indicator @ matrix
        ended = time.perf_counter()
        if not np.array_equal(product.toarray(), sums):
            sys.exit("scipy's sums are others than those that were gathered")
        if number:  # the first compiles
            gathered.append(middle - began)
            multiplied.append(ended - middle)
    return {
        "s_per_window": seconds / len(rows),
        "windows": len(rows),
        "gather_s": statistics.median(gathered),
        "multiply_s": statistics.median(multiplied),
    }


def _section(dataset: str, sample: str) -> tuple[Any, ...]:
    """The grid of bins, their counts, the windows' centres and width, and the windows' totals."""
    from g2m_data import open_dataset
    from g2m_data.bin_counts import read_bin_counts
    from g2m_data.count_store import read_places, store_path
    from g2m_data.windows import BinGrid, enumerate_windows, window_totals

    opened = open_dataset(Path(dataset), samples=[sample])
    view = opened.view
    store = store_path(Path(dataset) / "samples" / sample, "visium-hd")
    places = read_places(store)
    grid = BinGrid.from_array(places.array)
    centres = enumerate_windows(grid, view)
    totals = window_totals(grid, places.total_counts, centres, view.window_bins)
    return grid, read_bin_counts(store, len(opened.genes)), centres, view.window_bins, totals, places.barcodes


def _as_csr(counts: Any) -> Any:
    import numpy as np
    from scipy import sparse

    index = np.int32 if counts.nnz <= np.iinfo(np.int32).max else np.int64
    arrays = (counts.counts.astype(np.int32), counts.genes.astype(index), counts.indptr.astype(index))
    return sparse.csr_array(arrays, shape=counts.shape)


def _sampled(windows: int) -> Any:
    """Windows here and there."""
    import numpy as np

    return np.random.default_rng(0).choice(windows, size=min(SAMPLED, windows), replace=False)


def _consecutive(windows: int) -> Any:
    """Windows from the middle of the section on."""
    import numpy as np

    return np.arange(windows // 2, min(windows // 2 + CONSECUTIVE, windows))


def _compared(windows: int) -> Any:
    """All of these, in order."""
    import numpy as np

    return np.union1d(_sampled(windows), _consecutive(windows))


def _bins(grid: Any, centres: Any, size: int) -> Any:
    """(windows, size * size) storage indices of the bins of complete windows."""
    import numpy as np

    n_cols = grid.in_tissue.shape[1]
    row, col = np.divmod(np.flatnonzero(grid.in_tissue)[centres], n_cols)
    offset = np.arange(size) - size // 2
    start = (row[:, None] + offset) * n_cols + (col - size // 2)[:, None]
    return (grid.rank[start][:, :, None] + np.arange(size)).reshape(len(centres), -1)


def _indicator(grid: Any, centres: Any, size: int, bins: int) -> Any:
    """0/1 matrix, windows x bins."""
    import numpy as np
    from scipy import sparse

    inside = _bins(grid, centres, size).astype(np.int32)
    ends = np.arange(len(centres) + 1, dtype=np.int32) * inside.shape[1]
    return sparse.csr_array((np.ones(inside.size, np.int32), inside.ravel(), ends), shape=(len(centres), bins))
