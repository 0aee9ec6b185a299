"""The feature-barcode matrix as matrix market: `matrix.mtx`, `features.tsv` and `barcodes.tsv`, gzip'd or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.spaceranger.claims import are_counts
from g2m_data.spaceranger.features import Features, name_features
from g2m_data.spaceranger.gzipped import DAMAGE, is_gzipped, open_plain

MATRIX = "matrix.mtx"
BLOCK = 1 << 25
"""Bytes of text parsed at once."""


def is_matrix_market(path: Path) -> bool:
    """Whether a path names the `matrix.mtx` of a matrix market folder, perhaps with a prefix, perhaps gzip'd."""
    return path.name.removesuffix(".gz").endswith(MATRIX)


def files_of(path: Path) -> list[Path]:
    """The matrix, its features (`genes.tsv` in old ones) and its barcodes; they share a prefix.

    Raises
    ------
    InputError
        If one is missing.
    """
    return [path, _beside(path, "features.tsv", "genes.tsv"), _beside(path, "barcodes.tsv")]


def read_features(path: Path) -> Features:
    """Read the genes: the columns are id, symbol and, from Cell Ranger 3 on, the kind of feature."""
    file = files_of(path)[1]
    rows = [line.split("\t") for line in _lines(file)]
    width = min((len(row) for row in rows), default=0)
    if not width:
        raise InputError(f"{file}: lists no features; copy the file again")
    ids = [row[0] for row in rows]
    names = [row[1] for row in rows] if width > 1 else ids
    return name_features(file, ids, names, [row[2] for row in rows] if width > 2 else None)


def read_barcodes(path: Path) -> NDArray[np.bytes_]:
    """Read the barcodes, in the matrix's order."""
    return np.array([line.split("\t")[0].encode() for line in _lines(files_of(path)[2])], dtype=np.bytes_)


def read_counts(path: Path, column_of_feature: NDArray[np.int64], n_columns: int) -> sparse.csr_array:
    """Read the counts, int32 (barcodes, n_columns), as :func:`g2m_data.spaceranger.matrix.iterate_counts` does."""
    n_barcodes = len(read_barcodes(path))
    rows, columns, data = [], [], []
    n_read = 0
    with _damage(path):
        skip, (n_features, listed, nnz) = _header(path)
        if (n_features, listed) != (len(column_of_feature), n_barcodes):
            raise InputError(
                f"{path}: has {n_features} features and {listed} barcodes, but the lists beside it have "
                f"{len(column_of_feature)} and {n_barcodes}; copy the three files of one run again"
            )
        for batch in _entries(path, skip) if nnz else ():
            feature, barcode, count = (batch.column(number).to_numpy() for number in range(3))
            n_read += len(count)
            inside = (feature >= 1) & (feature <= n_features) & (barcode >= 1) & (barcode <= n_barcodes)
            if not (inside.all() and are_counts(count)):
                raise InputError(f"{path}: holds entries that are no counts of its features; copy the file again")
            column = column_of_feature[feature - 1]
            keep = (column >= 0) & (count > 0)
            rows.append((barcode[keep] - 1).astype(np.int32))
            columns.append(column[keep].astype(np.int32))
            data.append(count[keep].astype(np.int32))
    if n_read != nnz:
        raise InputError(f"{path}: has {n_read} of the {nnz} entries it announces; copy the file again")
    parts = (np.concatenate([*part, np.zeros(0, np.int32)]) for part in (rows, columns, data))
    row, column, values = parts
    counts = sparse.coo_array((values, (row, column)), shape=(n_barcodes, n_columns)).tocsr()
    counts.sort_indices()
    return counts


def _header(path: Path) -> tuple[int, tuple[int, int, int]]:
    """Lines before the first entry; features, barcodes and entries announced."""
    with open_plain(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and not line.startswith(b"%%MatrixMarket matrix coordinate"):
                raise ValueError("its first line is not that of a sparse matrix market file")
            if not line.startswith(b"%"):
                n_features, n_barcodes, nnz = (int(word) for word in line.split())
                return number, (n_features, n_barcodes, nnz)
    raise ValueError("it has no line of sizes")


def _entries(path: Path, skip: int) -> Iterator[pa.RecordBatch]:
    names = ["feature", "barcode", "count"]
    with pa.input_stream(path, compression="gzip" if is_gzipped(path) else None) as stream:
        yield from csv.open_csv(
            stream,
            read_options=csv.ReadOptions(skip_rows=skip, column_names=names, block_size=BLOCK),
            parse_options=csv.ParseOptions(delimiter=" "),
            convert_options=csv.ConvertOptions(
                column_types={"feature": pa.int64(), "barcode": pa.int64(), "count": pa.float64()}
            ),
        )


def _beside(path: Path, *names: str) -> Path:
    prefix = path.name.removesuffix(".gz").removesuffix(MATRIX)
    for name in names:
        for candidate in (path.with_name(f"{prefix}{name}"), path.with_name(f"{prefix}{name}.gz")):
            if candidate.is_file():
                return candidate
    raise InputError(f"{path.parent}: no {prefix}{names[0]} (or .gz) beside {path.name}; copy the folder again")


def _lines(path: Path) -> list[str]:
    with _damage(path), open_plain(path) as file:
        return [line for line in file.read().decode().splitlines() if line]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (*DAMAGE, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: truncated or damaged ({reason}); copy or download it again") from None
