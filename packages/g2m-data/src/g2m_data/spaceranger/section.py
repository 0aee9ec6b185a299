"""Counts and positions of one section, joined by barcode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.spaceranger.layout import Layout, read_scalefactors
from g2m_data.spaceranger.matrix import read_barcodes, read_counts, read_features
from g2m_data.spaceranger.positions import read_positions


@dataclass(frozen=True, kw_only=True)
class Section:
    """What lies under tissue, ordered by array row, then array column."""

    barcodes: NDArray[np.object_]
    array: NDArray[np.int32]
    """(n, 2): array row, array column."""
    xy: NDArray[np.float64]
    """(n, 2): centres in full-resolution pixels."""
    counts: sparse.csr_array
    """int32 (n, gene)."""
    scalefactors: dict[str, float]
    genes_missing: list[str]
    """Genes of the panel that the matrix does not list; their counts are zero."""
    n_without_counts: int
    """Spots under tissue that the matrix does not list: kept as empty bins on HD, left out otherwise."""


def read_section(layout: Layout, genes: Sequence[str]) -> Section:
    """Read one section's in-tissue barcodes with the counts of a gene panel.

    Raises
    ------
    InputError
        If a file is damaged, or the matrix has barcodes that the positions do not know.
    """
    features = read_features(layout.matrix)
    positions = read_positions(layout.positions)
    barcodes = pa.array(read_barcodes(layout.matrix).tolist(), pa.binary())

    position = pc.index_in(barcodes, value_set=positions.barcodes)
    if position.null_count:
        n_unknown, example = position.null_count, barcodes.filter(pc.is_null(position))[0].as_py().decode(errors="replace")
        raise InputError(
            f"{layout.positions}: does not list {n_unknown} of the {len(barcodes)} barcodes in {layout.matrix} "
            f"(e.g. {example}); give the positions and the matrix of the same Space Ranger run"
        )
    row = np.full(len(positions.barcodes), -1, dtype=np.int64)
    row[position.to_numpy()] = np.arange(len(barcodes))
    if (row >= 0).sum() != len(barcodes):
        raise InputError(f"{layout.matrix}: lists some barcodes twice; copy the file again")
    wanted = positions.in_tissue if layout.is_hd else positions.in_tissue & (row >= 0)
    n_without_counts = int((positions.in_tissue & (row < 0)).sum())
    if not (wanted & (row >= 0)).any():
        raise InputError(f"{layout.positions}: none of the spots under tissue has counts in {layout.matrix}")
    chosen = np.flatnonzero(wanted)
    chosen = chosen[np.lexsort((positions.array[chosen, 1], positions.array[chosen, 0]))]
    array = positions.array[chosen]
    if (np.diff(array, axis=0) == 0).all(axis=1).any():
        raise InputError(f"{layout.positions}: two barcodes under tissue share one place of the array")

    panel_index = {gene: index for index, gene in enumerate(genes)}
    column_of_gene = np.array([panel_index.get(gene, -1) for gene in features.genes], dtype=np.int64)
    column_of_feature = np.where(features.gene_of_feature >= 0, column_of_gene[features.gene_of_feature], -1)
    counts = read_counts(layout.matrix, column_of_feature, len(genes))
    return Section(
        barcodes=np.array(
            [barcode.decode() for barcode in positions.barcodes.take(pa.array(chosen)).to_pylist()], dtype=object
        ),
        array=array,
        xy=positions.xy[chosen],
        counts=_take_rows(counts, row[chosen]),
        # how wide bins are is known even where the JSON is lost; what it says itself comes first
        scalefactors=({"bin_size_um": layout.bin_um} if layout.is_hd else {}) | read_scalefactors(layout.scalefactors),
        genes_missing=sorted(set(genes) - set(features.genes)),
        n_without_counts=n_without_counts,
    )


def _take_rows(counts: sparse.csr_array, rows: NDArray[np.int64]) -> sparse.csr_array:
    """Take rows in any order; -1 gives an empty one."""
    if (rows >= 0).all():
        return counts[rows]
    taken = counts[rows[rows >= 0]]
    lengths = np.zeros(len(rows), dtype=np.int64)
    lengths[rows >= 0] = np.diff(taken.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((taken.data, taken.indices, indptr), shape=(len(rows), counts.shape[1]))
