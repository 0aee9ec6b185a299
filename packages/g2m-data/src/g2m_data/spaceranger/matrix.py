"""The feature-barcode matrix: 10x HDF5 here, matrix market in :mod:`g2m_data.spaceranger.matrix_market`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.spaceranger import matrix_market
from g2m_data.spaceranger.claims import check_claims
from g2m_data.spaceranger.features import Features, name_features
from g2m_data.spaceranger.gzipped import DAMAGE, is_gzipped, unpack

BLOCK = 1 << 24
"""Non-zeros decompressed at once."""


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
        barcodes: NDArray[np.bytes_] = group["barcodes"][:]
    return barcodes


def read_counts(path: Path, column_of_feature: NDArray[np.int64], n_columns: int) -> sparse.csr_array:
    """Read the counts, barcodes in rows.

    Parameters
    ----------
    path
        10x HDF5 file, or the `matrix.mtx` of a matrix market folder.
    column_of_feature
        (features,) where each feature of the file goes; -1 leaves it out. What goes to one column is added up.
    n_columns
        Columns of the result.

    Returns
    -------
    int32 counts (barcodes, n_columns), indices sorted.

    Raises
    ------
    InputError
        If the file is truncated, damaged or inconsistent.
    """
    if matrix_market.is_matrix_market(path):
        return matrix_market.read_counts(path, column_of_feature, n_columns)
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
        )
        if not consistent:
            raise InputError(f"{path}: its index does not match its counts; copy the file again")
        columns, data, kept_before = [], [], [np.zeros(1, np.int64)]
        for start in range(0, nnz, BLOCK):
            feature = group["indices"][start : start + BLOCK].astype(np.int64)
            count = group["data"][start : start + BLOCK]
            if feature.min() < 0 or feature.max() >= n_features or count.min() < 0:
                raise InputError(f"{path}: holds counts of features it does not list; copy the file again")
            column = column_of_feature[feature]
            keep = (column >= 0) & (count > 0)
            columns.append(column[keep].astype(np.int32))
            data.append(count[keep].astype(np.int32))
            kept_before.append(kept_before[-1][-1] + np.cumsum(keep))
    n_kept = np.concatenate(kept_before)
    parts = (
        np.concatenate([*data, np.zeros(0, np.int32)]),
        np.concatenate([*columns, np.zeros(0, np.int32)]),
        n_kept[indptr],
    )
    counts = sparse.csr_array(parts, shape=(n_barcodes, n_columns))
    if len(np.unique(used := column_of_feature[column_of_feature >= 0])) < len(used):
        counts.sum_duplicates()
    counts.sort_indices()
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
