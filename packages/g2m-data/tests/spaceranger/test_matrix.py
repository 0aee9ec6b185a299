import gzip

import h5py
import numpy as np
import pytest
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.spaceranger import claims, matrix
from g2m_data.spaceranger.features import name_features
from g2m_data.spaceranger.matrix import iterate_counts, read_features


def whole(path, column_of_feature, n_columns):
    return sparse.csr_array(sparse.vstack(list(iterate_counts(path, column_of_feature, n_columns))))


@pytest.fixture
def path(tmp_path, save_h5):
    counts = np.random.default_rng(0).poisson(1.5, (30, 5))
    save_h5(tmp_path / "m.h5", counts, ["Actb", "Gm1", "Gm1", "Mt1", "Gm1"], [f"b{i}" for i in range(30)])
    return tmp_path / "m.h5"


def test_only_genes_are_read_and_repeated_symbols_are_named_as_scanpy_does(path):
    features = read_features(path)
    assert features.genes == ["Actb", "Gm1", "Gm1-1", "Mt1", "Gm1-2"]
    assert features.gene_of_feature.tolist() == [0, 1, 2, 3, 4, -1]
    assert features.ids == [f"ENS{i:05d}" for i in range(5)]


def test_counts_go_to_the_columns_asked_for_in_blocks(path, monkeypatch):
    expected = np.random.default_rng(0).poisson(1.5, (30, 5))
    monkeypatch.setattr(matrix, "BLOCK", 7)
    counts = whole(path, np.array([2, -1, 0, -1, 1, -1]), 3).toarray()
    np.testing.assert_array_equal(counts, expected[:, [2, 4, 0]])


def test_barcodes_of_no_fixed_length_are_read_as_those_of_one(path):
    fixed = matrix.read_barcodes(path)
    with h5py.File(path, "a") as file:
        del file["matrix/barcodes"]
        file["matrix"].create_dataset("barcodes", data=fixed.astype(object), dtype=h5py.string_dtype())
    assert matrix.read_barcodes(path).dtype == fixed.dtype
    np.testing.assert_array_equal(matrix.read_barcodes(path), fixed)


@pytest.mark.parametrize("listed", [29, 31])
def test_more_or_fewer_barcodes_than_columns_are_refused(path, listed):
    with h5py.File(path, "a") as file:
        del file["matrix/barcodes"]
        file["matrix/barcodes"] = np.array([f"b{i}" for i in range(listed)], dtype="S")
    with pytest.raises(InputError, match="its index does not match its counts or barcodes"):
        whole(path, np.zeros(6, np.int64), 1)


def test_truncated_file_is_one_clear_line(path):
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(InputError, match=r"m\.h5: truncated or damaged HDF5") as caught:
        read_features(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("data", lambda path: whole(path, np.zeros(6, np.int64), 1)),
        ("indices", lambda path: whole(path, np.zeros(6, np.int64), 1)),
        ("indptr", lambda path: whole(path, np.zeros(6, np.int64), 1)),
        ("features", read_features),
        ("barcodes", matrix.read_barcodes),
    ],
)
def test_missing_part_is_one_clear_line(path, name, read):
    with h5py.File(path, "a") as file:
        del file["matrix"][name]
    with pytest.raises(InputError, match=r"m\.h5: truncated or damaged"):
        read(path)


@pytest.mark.parametrize(("name", "index", "value"), [("indices", 3, 99), ("indptr", 2, 90000), ("data", 0, -4)])
def test_inconsistent_numbers_are_refused(path, name, index, value):
    with h5py.File(path, "a") as file:
        file["matrix"][name][index] = value
    with pytest.raises(InputError, match="copy the file again"):
        whole(path, np.zeros(6, np.int64), 1)


def test_foreign_hdf5_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(InputError, match="not a 10x feature-barcode matrix"):
        read_features(tmp_path / "x.h5")


def test_probes_are_added_up_for_the_gene_whose_ensembl_id_they_carry(tmp_path):
    ids = ["E1|Gm1|a", "E2|Gm1|a", "E1|Gm1|b", "DEPRECATED_E1|Gm1|c", "E3|Actb|a"]
    features = name_features(tmp_path, ids, ["Gm1", "Gm1", "Gm1", "Gm1", "Actb"])
    assert (features.genes, features.ids) == (["Gm1", "Gm1-1", "Actb"], ["E1", "E2", "E3"])
    assert features.gene_of_feature.tolist() == [0, 1, 0, -1, 2]
    assert features.repeated == {"Gm1", "Gm1-1"}


def test_counts_that_go_to_one_column_are_added_up(path):
    expected = np.random.default_rng(0).poisson(1.5, (30, 5))
    counts = whole(path, np.array([1, 0, 1, -1, 1, -1]), 2)
    assert counts.has_canonical_format
    np.testing.assert_array_equal(counts.toarray(), np.stack([expected[:, 1], expected[:, [0, 2, 4]].sum(1)], axis=1))


def test_damaged_gzip_is_one_clear_line(path):
    packed = path.with_name("m.h5.gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-500])
    with pytest.raises(InputError, match=r"m\.h5\.gz: truncated or damaged"):
        read_features(packed)


@pytest.mark.parametrize("chunk", [1000, 1 << 28])
def test_a_field_that_claims_more_than_the_file_can_hold_is_refused_unread(path, chunk):
    with h5py.File(path, "a") as file:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", shape=(1 << 38,), dtype="int32", chunks=(chunk,))
    with pytest.raises(InputError, match=r"m\.h5: .*'matrix/data' claims 274877906944 values, holds 0 bytes"):
        whole(path, np.arange(3), 3)


def test_a_field_in_pieces_too_large_to_read_is_to_be_repacked(path, monkeypatch):
    monkeypatch.setattr(claims, "LARGEST_CHUNK", 100)
    with pytest.raises(InputError, match=r"stored as pieces of .* GB.*; repack it: h5repack -l matrix/\w+:CHUNK="):
        whole(path, np.arange(3), 3)


def test_no_chunk_is_read_for_more_than_two_blocks(path, monkeypatch):
    read, parts = matrix.read_block, []

    def remember(dataset, start, stop):
        parts.append((start, stop))
        return read(dataset, start, stop)

    monkeypatch.setattr(matrix, "BLOCK", 7)
    monkeypatch.setattr(matrix, "read_block", remember)
    with h5py.File(path, "a") as file:
        for name in ("data", "indices"):
            values = file["matrix"][name][:]
            del file["matrix"][name]
            file["matrix"].create_dataset(name, data=values, chunks=(60,), compression="gzip")
    np.testing.assert_array_equal(
        whole(path, np.array([0, 1, 2, 3, 4, -1]), 5).toarray(), np.random.default_rng(0).poisson(1.5, (30, 5))
    )
    for first in range(0, len(values), 60):
        assert sum(start < first + 60 and stop > first for start, stop in set(parts)) <= 2


@pytest.mark.parametrize(("name", "dtype"), [("shape", "complex64"), ("data", "bool"), ("indices", "float64")])
def test_a_field_of_another_kind_is_refused(path, name, dtype):
    with h5py.File(path, "a") as file:
        values = file["matrix"][name][:]
        del file["matrix"][name]
        file["matrix"][name] = values.astype(dtype)
    with pytest.raises(InputError, match=rf"'matrix/{name}' is no list of whole numbers"):
        whole(path, np.arange(3), 3)
