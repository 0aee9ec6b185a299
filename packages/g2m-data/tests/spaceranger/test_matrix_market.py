import gzip

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from g2m_data.errors import InputError
from g2m_data.spaceranger import matrix_market
from g2m_data.spaceranger.matrix import iterate_counts, matrix_files, read_barcodes, read_features

COUNTS = np.random.default_rng(0).poisson(0.8, (40, 6))


def whole(path, column_of_feature, n_columns):
    return sparse.csr_array(sparse.vstack(list(iterate_counts(path, column_of_feature, n_columns))))


@pytest.fixture
def path(tmp_path):
    mmwrite(tmp_path / "K_matrix.mtx", sparse.coo_array(COUNTS.T), field="integer")
    types = ["Gene Expression"] * 5 + ["Antibody Capture"]
    rows = [f"ENS{i}\tG{i % 4}\t{kind}\n" for i, kind in enumerate(types)]
    (tmp_path / "K_features.tsv").write_text("".join(rows))
    (tmp_path / "K_barcodes.tsv.gz").write_bytes(gzip.compress("".join(f"b{i}-1\n" for i in range(40)).encode()))
    return tmp_path / "K_matrix.mtx"


def test_three_files_give_what_hdf5_gives(path, monkeypatch):
    monkeypatch.setattr(matrix_market, "BLOCK", 64)  # several blocks
    features = read_features(path)
    assert features.genes == ["G0", "G1", "G2", "G3", "G0-1"]
    assert features.gene_of_feature.tolist() == [0, 1, 2, 3, 4, -1]
    assert read_barcodes(path)[[0, -1]].tolist() == [b"b0-1", b"b39-1"]
    counts = whole(path, np.array([2, -1, 0, 1, 0, -1]), 3)
    assert counts.dtype == np.int32
    expected = np.stack([COUNTS[:, 2] + COUNTS[:, 4], COUNTS[:, 3], COUNTS[:, 0]], axis=1)
    np.testing.assert_array_equal(counts.toarray(), expected)
    assert [file.name for file in matrix_files(path)] == ["K_matrix.mtx", "K_features.tsv", "K_barcodes.tsv.gz"]


def test_matrix_without_counts_is_empty(path):
    mmwrite(path, sparse.coo_array(COUNTS.T * 0), field="integer")
    assert whole(path, np.arange(6), 6).nnz == 0


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("%%MatrixMarket matrix coordinate", "%%MatrixMarket matrix array", "its first line"),
        ("\n6 40 ", "\n6 41 ", "6 features and 41 barcodes, but the lists beside it have 6 and 40"),
        ("\n1 ", "\n7 ", "no counts of its features"),
        ("\n1 ", "\n0 ", "no counts of its features"),
        ("\n1 ", "\n1.5 ", "truncated or damaged"),
        ("\n1 ", "\nx ", "truncated or damaged"),
    ],
)
def test_damage_is_one_clear_line(path, old, new, complaint):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"K_matrix\.mtx: .*{complaint}") as caught:
        whole(path, np.arange(6), 6)
    assert "\n" not in str(caught.value)


def test_text_cut_short_is_noticed(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]))
    with pytest.raises(InputError, match=r"of the .* entries it announces"):
        whole(path, np.arange(6), 6)


@pytest.mark.parametrize(
    ("name", "complaint"), [("K_features.tsv", "K_features.tsv"), ("K_barcodes.tsv.gz", "barcodes")]
)
def test_missing_list_is_named(path, name, complaint):
    (path.parent / name).unlink()
    with pytest.raises(InputError, match=f"no K_{complaint.removeprefix('K_')}.* beside K_matrix.mtx"):
        whole(path, np.arange(6), 6) if "barcodes" in name else read_features(path)
