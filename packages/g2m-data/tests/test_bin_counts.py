import anndata as ad
import numpy as np
import pytest
import zarr
from scipy import sparse

from g2m_data import bin_counts
from g2m_data.bin_counts import read_bin_counts
from g2m_data.errors import InputError


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(bin_counts, "AT_ONCE", 64)  # so that a small matrix is many blocks

    def store(matrix, **replaced):
        group = zarr.open_group(tmp_path / "bins.zarr", mode="w", zarr_format=3)
        with ad.settings.override(auto_shard_zarr_v3=False):
            ad.io.write_elem(group, "/", ad.AnnData(X=sparse.csr_matrix(matrix)))
            ad.io.write_elem(group["obs"], "total_counts", np.asarray(matrix.sum(axis=1, dtype=np.int64)).ravel())
            for name, values in replaced.items():
                ad.io.write_elem(group["X"], name, values)
        return tmp_path / "bins.zarr"

    return store


@pytest.mark.parametrize(
    ("largest", "kind"),
    [(255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.int32), (2**31 - 1, np.int32)],
)
def test_counts_take_the_fewest_bytes_that_hold_them(store, unpack_counts, largest, kind):
    matrix = sparse.random_array((60, 40), density=0.3, rng=np.random.default_rng(0), format="csr", dtype=np.int32)
    matrix.data[:] = np.arange(1, matrix.nnz + 1) % 7 + 1
    matrix.data[matrix.nnz * 2 // 3] = largest  # not in the first block
    counts = read_bin_counts(store(matrix), matrix.shape[1])
    assert (counts.counts.dtype, counts.genes.dtype, counts.indptr.dtype) == (kind, np.uint16, np.int64)
    assert (counts.shape, counts.nnz) == ((60, 40), matrix.nnz)
    assert (unpack_counts(counts) != matrix).nnz == 0
    np.testing.assert_array_equal(counts.totals, matrix.sum(axis=1, dtype=np.int64))


def test_a_panel_beyond_sixteen_bits_takes_wider_columns(store, unpack_counts):
    for genes, kind in ((65_536, np.uint16), (65_537, np.int32)):
        matrix = sparse.csr_array(([1, 2], [0, genes - 1], [0, 1, 2]), shape=(2, genes), dtype=np.int32)
        counts = read_bin_counts(store(matrix), matrix.shape[1])
        assert counts.genes.dtype == kind
        assert (unpack_counts(counts) != matrix).nnz == 0


def test_a_matrix_without_counts_is_read(store):
    counts = read_bin_counts(store(sparse.csr_array((5, 3), dtype=np.int32)), 3)
    assert (counts.shape, counts.nnz, counts.totals.tolist()) == ((5, 3), 0, [0] * 5)


@pytest.mark.parametrize(
    ("replaced", "complaint"),
    [
        ({"indices": [0, 3]}, "a column beyond its 3 genes"),
        ({"indices": [-1, 1]}, "a column beyond its 3 genes"),
        ({"data": [1, -1]}, "a count below 1"),
        ({"data": [1, 0]}, "a count below 1"),
        ({"data": [1, 3]}, "counts that do not add up"),
        ({"indptr": [0, 2, 2]}, "counts that do not add up"),
        ({"indptr": [0, 2, 2], "indices": [0, 0]}, "genes out of order"),
        ({"data": [1, 2**31]}, f"a count of {2**31}"),
        ({"data": [1]}, "rows do not meet"),
        ({"indices": [1]}, "rows do not meet"),
        ({"indptr": [0, 1, 1]}, "rows do not meet"),
        ({"indptr": [0, 3, 2]}, "rows do not meet"),
        ({"indptr": [0, 2]}, "rows do not meet"),
    ],
)
def test_a_damaged_store_is_one_line(store, replaced, complaint):
    path = store(
        sparse.csr_array(([1, 2], [0, 1], [0, 1, 2]), shape=(2, 3)),
        **{name: np.array(values) for name, values in replaced.items()},
    )
    with pytest.raises(InputError, match=rf"bins\.zarr: .*damaged.*{complaint}.*build the dataset again") as caught:
        read_bin_counts(path, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 3), (2, 4), (3, 3)])
def test_a_store_of_another_shape_than_its_dataset_is_one_line(store, shape):
    path = store(sparse.csr_array(([1, 2], [0, 1], [0, 1, 2]), shape=(2, 3)))
    zarr.open_group(path / "X", mode="r+").attrs["shape"] = list(shape)
    with pytest.raises(InputError, match=r"damaged \(\(\d, \d\) instead of \(2, 3\) places and genes\); build"):
        read_bin_counts(path, 3)


def test_lost_chunks_are_not_read_as_zeros(store):
    path = store(sparse.csr_array(np.arange(1, 31).reshape(10, 3)))
    for name in ("data", "indices"):
        chunk = path / "X" / name / "c" / "0"
        kept = chunk.read_bytes()
        chunk.unlink()
        with pytest.raises(InputError, match=r"damaged \((a count below 1|genes out of order)\)"):
            read_bin_counts(path, 3)
        chunk.write_bytes(kept)
    assert read_bin_counts(path, 3).totals.sum() == 465


def test_a_store_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="missing or damaged"):
        read_bin_counts(tmp_path / "bins.zarr", 3)
