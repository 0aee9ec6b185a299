"""Counts and positions of one section, joined by barcode."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.sorted_rows import sort_rows
from g2m_data.spaceranger.barcodes import find_rows
from g2m_data.spaceranger.layout import Layout, read_scalefactors
from g2m_data.spaceranger.matrix import iterate_counts, read_barcodes, read_features
from g2m_data.spaceranger.positions import Positions, read_positions


@dataclass(frozen=True, kw_only=True)
class Section:
    """What lies under tissue, ordered by array row, then array column; its counts stay in their file."""

    barcodes: pa.Array
    """Strings; arrow, because eight million Python strings do not fit a laptop."""
    array: NDArray[np.int32]
    """(n, 2): array row, array column."""
    xy: NDArray[np.float64]
    """(n, 2): centres in full-resolution pixels."""
    matrix: Path
    listed: int
    """How many barcodes the matrix lists."""
    rows: NDArray[np.int64]
    """(n,) place of each among the matrix's barcodes; -1 where it does not list it."""
    column_of_feature: NDArray[np.int64]
    """(features,) which gene of the panel each of the matrix's features is; -1 for none."""
    n_genes: int
    scalefactors: dict[str, float]
    genes_missing: list[str]
    """Genes of the panel that the matrix does not list; their counts are zero."""
    n_without_counts: int
    """Spots under tissue that the matrix does not list: kept as empty bins on HD, left out otherwise."""

    def counts(self, scratch: Path, *, track: Track = silent, description: str = "") -> Iterator[sparse.csr_array]:
        """Read the counts, int32 (spots, gene), a block of consecutive spots at a time; a few are in memory at once.

        Space Ranger's matrices list barcodes in no order of the array: they are sorted through a file.

        Parameters
        ----------
        scratch
            Folder on a disk with room for some 3 bytes a non-zero.

        Raises
        ------
        InputError
            If the matrix is damaged.
        """
        blocks = self._listed_counts(track, description)
        rows, listed = self.rows, self.rows >= 0
        if (np.diff(rows[listed]) < 0).any():
            blocks = sort_rows(self._with_places(blocks), scratch, track=track, description=f"{description}, sorted")
            rows = np.where(listed, np.cumsum(listed) - 1, -1)
        reached = np.maximum.accumulate(rows)
        first_row = first = 0
        for block in blocks:
            past_row = first_row + block.shape[0]
            past = int(np.searchsorted(reached, past_row))
            part = rows[first:past]
            yield _take_rows(block, np.where(part >= 0, part - first_row, -1))
            first_row, first = past_row, past

    def totals(self, weights: NDArray[np.int64], *, track: Track = silent, description: str = "") -> NDArray[np.int64]:
        """Add up each spot's counts, weighted by gene: (spots, k) of weights (gene, k).

        Raises
        ------
        InputError
            If the matrix is damaged.
        """
        blocks = self._listed_counts(track, description)
        # the row of zeros at the end is that of spots which are not listed
        sums = np.concatenate([*(block @ weights for block in blocks), np.zeros((1, weights.shape[1]), np.int64)])
        return np.asarray(sums[self.rows])

    def _listed_counts(self, track: Track, description: str) -> Iterator[sparse.csr_array]:
        return iterate_counts(self.matrix, self.column_of_feature, self.n_genes, track=track, description=description)

    def _with_places(self, blocks: Iterable[sparse.csr_array]) -> Iterator[tuple[sparse.csr_array, NDArray[np.int64]]]:
        """Tell where each row of the matrix goes, -1 for nowhere."""
        place = np.full(self.listed, -1, dtype=np.int64)
        wanted = np.flatnonzero(self.rows >= 0)
        place[self.rows[wanted]] = wanted
        first = 0
        for block in blocks:
            yield block, place[first : first + block.shape[0]]
            first += block.shape[0]


def read_section(layout: Layout, genes: Sequence[str]) -> Section:
    """Read one section's in-tissue barcodes with the counts of a gene panel.

    Raises
    ------
    InputError
        If a file is damaged, or the matrix has barcodes that the positions do not know.
    """
    features = read_features(layout.matrix)
    positions = read_positions(layout.positions)
    row = _find_rows(layout, positions)
    wanted = positions.in_tissue if layout.is_hd else positions.in_tissue & (row >= 0)
    n_without_counts = int((positions.in_tissue & (row < 0)).sum())
    if not (wanted & (row >= 0)).any():
        raise InputError(f"{layout.positions}: none of the spots under tissue has counts in {layout.matrix}")
    chosen = np.flatnonzero(wanted)
    chosen = chosen[_order(positions.array[chosen])]
    array = positions.array[chosen]
    if ((np.diff(array[:, 0]) == 0) & (np.diff(array[:, 1]) == 0)).any():
        raise InputError(f"{layout.positions}: two barcodes under tissue share one place of the array")

    panel_index = {gene: index for index, gene in enumerate(genes)}
    column_of_gene = np.array([panel_index.get(gene, -1) for gene in features.genes], dtype=np.int64)
    column_of_feature = np.where(features.gene_of_feature >= 0, column_of_gene[features.gene_of_feature], -1)
    return Section(
        barcodes=positions.barcodes.take(pa.array(chosen)).cast(pa.string()),
        array=array,
        xy=positions.xy[chosen],
        matrix=layout.matrix,
        listed=int((row >= 0).sum()),
        rows=row[chosen],
        column_of_feature=column_of_feature,
        n_genes=len(genes),
        # how wide bins are is known even where the JSON is lost; what it says itself comes first
        scalefactors=({"bin_size_um": layout.bin_um} if layout.is_hd else {}) | read_scalefactors(layout.scalefactors),
        genes_missing=sorted(set(genes) - set(features.genes)),
        n_without_counts=n_without_counts,
    )


def _find_rows(layout: Layout, positions: Positions) -> NDArray[np.int64]:
    """(positions,) row of the matrix; -1 where it does not list a barcode."""
    listed = read_barcodes(layout.matrix)
    row, unknown = find_rows(listed, positions.barcodes)
    if len(unknown):
        raise InputError(
            f"{layout.positions}: does not list {len(unknown)} of the {len(listed)} barcodes in {layout.matrix} (e.g. "
            f"{unknown[0].as_py().decode(errors='replace')}); give the positions and the matrix of the same Space "
            "Ranger run"
        )
    if (row >= 0).sum() != len(listed):
        raise InputError(f"{layout.matrix}: lists some barcodes twice; copy the file again")
    return row


def _order(array: NDArray[np.int32]) -> NDArray[np.int64]:
    """What sorts places by array row, then array column."""
    row, col = array[:, 0].astype(np.int64), array[:, 1].astype(np.int64)
    place = row * (int(col.max()) - int(col.min()) + 1) + (col - int(col.min()))
    if (np.diff(place) > 0).all():
        return np.arange(len(place))
    return np.argsort(place, kind="stable")


def _take_rows(counts: sparse.csr_array, rows: NDArray[np.int64]) -> sparse.csr_array:
    """Take rows in any order; -1 gives an empty one."""
    if len(rows) == counts.shape[0] and (rows == np.arange(len(rows))).all():
        return counts
    if (rows >= 0).all():
        return sparse.csr_array(counts[rows])
    taken = counts[rows[rows >= 0]]
    lengths = np.zeros(len(rows), dtype=np.int64)
    lengths[rows >= 0] = np.diff(taken.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((taken.data, taken.indices, indptr), shape=(len(rows), counts.shape[1]))
