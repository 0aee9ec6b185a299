"""Counts where there is no tissue, which a raw matrix has and a filtered one has not."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2m_data.progress import Track, silent
from g2m_data.spaceranger.barcodes import find_rows
from g2m_data.spaceranger.layout import MATRICES, Layout
from g2m_data.spaceranger.matrix import iterate_counts, read_barcodes, read_features
from g2m_data.spaceranger.positions import Positions


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Places of the array that are not under tissue."""

    xy: NDArray[np.float64]
    """(n, 2): centres in full-resolution pixels."""
    library: NDArray[np.int64]
    """(n,): counts of the panel's genes."""


def find_raw_matrix(layout: Layout) -> Path | None:
    """The 10x HDF5 matrix of a section that lists what is not under tissue as well; None where there is none."""
    filtered, raw = (f"{name}.h5" for name in MATRICES)
    if raw in layout.matrix.name:
        return layout.matrix
    name = layout.matrix.name.removesuffix(".gz")
    if not name.endswith(filtered):
        return None
    beside = layout.matrix.with_name(name.removesuffix(filtered) + raw)
    return next((path for path in (beside, beside.with_name(f"{beside.name}.gz")) if path.is_file()), None)


def read_surroundings(
    matrix: Path, positions: Positions, panel: Collection[str], *, track: Track = silent, description: str = ""
) -> Surroundings | None:
    """Count what lies off the tissue, block by block.

    Parameters
    ----------
    matrix
        From :func:`find_raw_matrix`.
    positions
        Of the same section.
    panel
        Genes that count.

    Returns
    -------
    None where the matrix has barcodes that are not among the positions, or none off the tissue.

    Raises
    ------
    InputError
        If the matrix is damaged.
    """
    row, unknown = find_rows(read_barcodes(matrix), positions.barcodes)
    if len(unknown) or not (row >= 0)[~positions.in_tissue].any():
        return None
    features, wanted = read_features(matrix), set(panel)
    column_of_gene = np.array([0 if gene in wanted else -1 for gene in features.genes], dtype=np.int64)
    column = np.where(features.gene_of_feature >= 0, column_of_gene[features.gene_of_feature], -1)
    blocks = iterate_counts(matrix, column, 1, track=track, description=description)
    total = np.concatenate([np.asarray(block.sum(axis=1)).ravel().astype(np.int64) for block in blocks])
    off = ~positions.in_tissue
    row = row[off]
    return Surroundings(xy=positions.xy[off], library=np.where(row >= 0, total[row], 0))
