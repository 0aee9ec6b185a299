import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from g2m_data import count_store
from g2m_data.bin_counts import read_bin_counts
from g2m_data.count_store import read_places, write_counts
from g2m_data.spaceranger import matrix
from g2m_data.spaceranger.layout import find_layout
from g2m_data.spaceranger.section import read_section


@pytest.fixture
def section(make_hd, save_h5, tmp_path):
    """Bins in the array's order, some of them without counts and not in the matrix."""
    fake = make_hd()
    listed = fake.in_tissue.copy()
    for bins in (slice(0, 60), slice(700, 703), slice(-5, None)):  # the first, some between, the last
        listed[bins] = False
    root = tmp_path / "binned_outputs" / "square_002um"
    (root / "spatial").mkdir(parents=True)
    barcodes = np.array(fake.barcodes)[listed]
    save_h5(root / "filtered_feature_bc_matrix.h5", fake.counts[listed], fake.genes, barcodes)
    table = {"barcode": fake.barcodes, "in_tissue": fake.in_tissue.astype(int)}
    table |= {"array_row": fake.array[:, 0], "array_col": fake.array[:, 1]}
    table |= {"pxl_row_in_fullres": fake.xy[:, 1], "pxl_col_in_fullres": fake.xy[:, 0]}
    pd.DataFrame(table).to_parquet(root / "spatial" / "tissue_positions.parquet")
    expected = np.where(listed[:, None], fake.counts, 0)[fake.in_tissue]
    return read_section(find_layout(tmp_path, "visium-hd"), fake.genes), expected, fake


@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_bins_in_the_arrays_order_come_in_blocks_those_without_counts_included(section, block, monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK", block)
    blocks = list(section[0].counts())
    assert (len(blocks) > 5) == (block < 100)  # of a chunk each, where a block is less
    np.testing.assert_array_equal(sparse.vstack(blocks).toarray(), section[1])


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_stored_section_is_what_was_read(section, unpack_counts, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK", 100)
    monkeypatch.setattr(count_store, "CHUNK", chunk)
    monkeypatch.setattr(count_store, "BARCODES", chunk)
    read, expected, fake = section
    totals = write_counts(tmp_path / "bins.zarr", read, fake.genes)
    np.testing.assert_array_equal(totals, expected.sum(axis=1))
    counts = read_bin_counts(tmp_path / "bins.zarr", len(fake.genes))
    np.testing.assert_array_equal(unpack_counts(counts).toarray(), expected)
    places = read_places(tmp_path / "bins.zarr")
    np.testing.assert_array_equal(places.array, fake.array[fake.in_tissue])
    np.testing.assert_array_equal(places.xy, fake.xy[fake.in_tissue])
    np.testing.assert_array_equal(places.total_counts, totals)
    assert [str(barcode) for barcode in places.barcodes] == list(np.array(fake.barcodes)[fake.in_tissue])
