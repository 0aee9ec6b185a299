"""The 10x HDF5 feature-barcode matrix."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError

BLOCK = 1 << 24
"""Non-zeros decompressed at once."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The matrix's genes."""

    genes: list[str]
    """Symbols, unique."""
    columns: NDArray[np.int64]
    """Each gene's index among all features of the file."""
    total: int
    """Features in the file, genes or not."""


def read_features(path: Path) -> Features:
    """Read the gene symbols of a matrix: features of type "Gene Expression" only.

    A symbol that occurs twice keeps its name the first time and becomes `SYMBOL-1`, `SYMBOL-2`, … after that, as
    `adata.var_names_make_unique()` has it, so that scanpy users meet the names they know.
    """
    with _open(path) as group:
        features = group["features"]
        names = features["name" if "name" in features else "id"].asstr()[:]
        is_gene = np.ones(len(names), dtype=bool)
        if "feature_type" in features:
            is_gene = features["feature_type"].asstr()[:] == "Gene Expression"
        if len(names) != group["shape"][0] or len(is_gene) != len(names):
            raise InputError(f"{path}: its feature list does not match its shape; copy the file again")
    if not is_gene.any():
        raise InputError(f"{path}: holds no features of type 'Gene Expression'")
    genes = make_index_unique(pd.Index(names[is_gene].astype(object)))
    return Features(genes=[str(gene) for gene in genes], columns=np.flatnonzero(is_gene), total=len(names))


def read_barcodes(path: Path) -> NDArray[np.bytes_]:
    """Read the barcodes of a matrix, in its order."""
    with _open(path) as group:
        barcodes: NDArray[np.bytes_] = group["barcodes"][:]
    return barcodes


def read_counts(path: Path, column_of_feature: NDArray[np.int64], n_columns: int) -> sparse.csr_array:
    """Read the counts, barcodes in rows.

    Parameters
    ----------
    path
        10x HDF5 file.
    column_of_feature
        (features,) where each feature of the file goes; -1 leaves it out.
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
    counts.sort_indices()
    return counts


@contextmanager
def _open(path: Path) -> Iterator[h5py.Group]:
    try:
        with h5py.File(path, "r") as file:
            if "matrix" not in file:
                raise InputError(f"{path}: not a 10x feature-barcode matrix: it has no 'matrix' group")
            yield file["matrix"]
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # h5py reports damage as any of these, depending on where the damage lies
    except (
        OSError,
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
