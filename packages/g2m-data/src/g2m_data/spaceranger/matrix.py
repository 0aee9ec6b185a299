"""The feature-barcode matrix: 10x HDF5 here, matrix market in :mod:`g2m_data.spaceranger.matrix_market`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.ahead import map_ahead
from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.spaceranger import matrix_market
from g2m_data.spaceranger.claims import are_counts, check_claims
from g2m_data.spaceranger.features import Features, name_features
from g2m_data.spaceranger.gzipped import DAMAGE, is_gzipped, unpack
from g2m_data.spaceranger.hdf5_blocks import read_block

BLOCK = 1 << 22
"""Non-zeros of a block, about."""


def matrix_files(path: Path) -> list[Path]:
    """The files of a matrix, its counts first."""
    return matrix_market.files_of(path) if matrix_market.is_matrix_market(path) else [path]


def read_features(path: Path) -> Features:
    """Read the genes of a matrix: features of type "Gene Expression" only, named by
    :func:`~g2m_data.spaceranger.features.name_features`.
    """
    if matrix_market.is_matrix_market(path):
        return matrix_market.read_features(path)
    with _open(path) as group:
        features = group["features"]
        ids = features["id"].asstr()[:] if "id" in features else None
        names = features["name"].asstr()[:] if "name" in features else features["id"].asstr()[:]
        types = features["feature_type"].asstr()[:] if "feature_type" in features else None
        lengths = {int(group["shape"][0]), *(len(column) for column in (ids, names, types) if column is not None)}
        if len(lengths) > 1:
            raise InputError(f"{path}: its feature list does not match its shape; copy the file again")
        return name_features(path, names.tolist() if ids is None else ids.tolist(), names.tolist(), types)


def read_barcodes(path: Path) -> NDArray[np.bytes_]:
    """Read the barcodes of a matrix, in its order."""
    if matrix_market.is_matrix_market(path):
        return matrix_market.read_barcodes(path)
    with _open(path) as group:
        # of no fixed length, as anndata and pandas write names, they come as objects
        return np.asarray(group["barcodes"][:]).astype(np.bytes_, copy=False)


def iterate_counts(
    path: Path, column_of_feature: NDArray[np.int64], n_columns: int, *, track: Track = silent, description: str = ""
) -> Iterator[sparse.csr_array]:
    """Read the counts in blocks, barcodes in rows, in the file's order.

    Parameters
    ----------
    path
        10x HDF5 file, or the `matrix.mtx` of a matrix market folder.
    column_of_feature
        (features,) where each feature of the file goes; -1 leaves it out. What goes to one column is added up.
    n_columns
        Columns of the result.
    track, description
        Show progress.

    Yields
    ------
    int32 counts (the next barcodes, n_columns) in canonical form. A few blocks are in memory at the same time, because
    threads read ahead.

    Raises
    ------
    InputError
        If the file is truncated, damaged or inconsistent.
    """
    if matrix_market.is_matrix_market(path):
        yield matrix_market.read_counts(path, column_of_feature, n_columns)
        return
    with _open(path) as group:
        n_features, n_barcodes = (int(n) for n in group["shape"][:])
        indptr = group["indptr"][:].astype(np.int64)
        nnz = len(group["data"])
        consistent = (
            len(indptr) == n_barcodes + 1
            and indptr[0] == 0
            and indptr[-1] == nnz == len(group["indices"])
            and bool((np.diff(indptr) >= 0).all())
            and n_features == len(column_of_feature)
            and n_barcodes == len(group["barcodes"])
        )
        if not consistent:
            raise InputError(f"{path}: its index does not match its counts or barcodes; copy the file again")
        column_of = column_of_feature.astype(np.int32)
        indices, data = group["indices"], group["data"]

        def read(rows: slice) -> sparse.csr_array:
            start, stop = int(indptr[rows.start]), int(indptr[rows.stop])
            feature, count = read_block(indices, start, stop), read_block(data, start, stop)
            if (len(feature) and (feature.min() < 0 or feature.max() >= n_features)) or not are_counts(count):
                raise InputError(f"{path}: holds counts of features it does not list; copy the file again")
            ends = indptr[rows.start : rows.stop + 1] - start
            return _to_canonical(column_of[feature], count, ends, n_columns)

        # not less than a chunk, which is inflated whole for every block that has a part of it
        step = max(BLOCK, *(field.chunks[0] for field in (indices, data) if field.chunks), 1)
        firsts = np.searchsorted(indptr, np.arange(0, nnz, step)).tolist()
        bounds = sorted({0, *firsts, n_barcodes})
        blocks = [slice(first, last) for first, last in pairwise(bounds)]
        yield from track(map_ahead(read, blocks), description=description, total=len(blocks))


def _to_canonical(
    column: NDArray[np.int32], count: NDArray[Any], indptr: NDArray[np.int64], n_columns: int
) -> sparse.csr_array:
    """Drop what goes nowhere and what is zero, add up what goes to one column, and sort each row."""
    keep = (column >= 0) & (count > 0)
    if not keep.all():
        indptr = np.concatenate([[0], np.cumsum(keep)])[indptr]
        column, count = column[keep], count[keep]
    narrow = indptr.astype(np.int32) if indptr[-1] <= np.iinfo(np.int32).max else indptr
    counts = sparse.csr_array((count.astype(np.int32, copy=False), column, narrow), shape=(len(indptr) - 1, n_columns))
    if not counts.has_canonical_format:
        counts.sum_duplicates()
    return counts


@contextmanager
def _open(path: Path) -> Iterator[h5py.Group]:
    try:
        with ExitStack() as stack:
            source = stack.enter_context(unpack(path)) if is_gzipped(path) else path
            file = stack.enter_context(h5py.File(source, "r"))
            if "matrix" not in file:
                raise InputError(f"{path}: not a 10x feature-barcode matrix: it has no 'matrix' group")
            check_claims(path, file["matrix"])
            yield file["matrix"]
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # h5py reports damage as any of these, depending on where the damage lies
    except (
        *DAMAGE,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        UnicodeDecodeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: truncated or damaged HDF5 ({reason}); copy or download it again") from None
