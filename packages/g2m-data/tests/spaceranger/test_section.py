import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from g2m_data import count_store, sorted_rows
from g2m_data.bin_counts import read_bin_counts
from g2m_data.count_store import read_places, write_counts
from g2m_data.spaceranger import matrix
from g2m_data.spaceranger.layout import find_layout
from g2m_data.spaceranger.section import read_section


@pytest.fixture
def section(make_hd, save_h5, tmp_path, request):
    """Bins in the array's order or, as Space Ranger lists them, in none; some are without counts and not listed."""
    fake = make_hd()
    listed = fake.in_tissue.copy()
    for bins in (slice(0, 60), slice(700, 703), slice(-5, None)):  # the first, some between, the last
        listed[bins] = False
    root = tmp_path / "binned_outputs" / "square_002um"
    (root / "spatial").mkdir(parents=True)
    order = np.flatnonzero(listed)
    if getattr(request, "param", None) == "shuffled":
        order = np.random.default_rng(0).permutation(order)
    barcodes = np.array(fake.barcodes)[order]
    save_h5(root / "filtered_feature_bc_matrix.h5", fake.counts[order], fake.genes, barcodes)
    table = {"barcode": fake.barcodes, "in_tissue": fake.in_tissue.astype(int)}
    table |= {"array_row": fake.array[:, 0], "array_col": fake.array[:, 1]}
    table |= {"pxl_row_in_fullres": fake.xy[:, 1], "pxl_col_in_fullres": fake.xy[:, 0]}
    pd.DataFrame(table).to_parquet(root / "spatial" / "tissue_positions.parquet")
    expected = np.where(listed[:, None], fake.counts, 0)[fake.in_tissue]
    return read_section(find_layout(tmp_path, "visium-hd"), fake.genes), expected, fake


@pytest.mark.parametrize("section", ["in order", "shuffled"], indirect=True)
@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_bins_come_in_the_arrays_order_in_blocks_those_without_counts_included(section, block, monkeypatch, tmp_path):
    monkeypatch.setattr(matrix, "BLOCK", block)
    monkeypatch.setattr(sorted_rows, "BLOCK", block)
    blocks = list(section[0].counts(tmp_path))
    assert (len(blocks) > 5) == (block < 100)  # of a chunk each, where a block is less
    np.testing.assert_array_equal(sparse.vstack(blocks).toarray(), section[1])
    weights = np.arange(2 * len(section[2].genes)).reshape(-1, 2)
    np.testing.assert_array_equal(section[0].totals(weights), section[1] @ weights)


@pytest.mark.parametrize("section", ["in order", "shuffled"], indirect=True)
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
