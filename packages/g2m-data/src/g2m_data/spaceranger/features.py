"""The genes of a matrix, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from numpy.typing import NDArray

from g2m_data.errors import InputError

GENE = "Gene Expression"
NOT_COUNTED = ("DEPRECATED_", "IGNORE_")
"""How the ids of probes begin that 10x Genomics has withdrawn from a probe set."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The matrix's genes."""

    genes: list[str]
    """Symbols, unique."""
    ids: list[str]
    """Their Ensembl ids, or whatever the matrix has for them."""
    repeated: frozenset[str]
    """Those whose symbol occurs more than once, as they are named here."""
    gene_of_feature: NDArray[np.int64]
    """(features,) each feature's index among the genes; -1 where it is none. Several probes may share a gene."""


def name_features(path: Path, ids: Sequence[str], names: Sequence[str], types: Sequence[str] | None = None) -> Features:
    """Name the genes of a matrix.

    The Ensembl id tells genes apart, the symbol is what they are called. A symbol of two ids keeps its name the first
    time and becomes `SYMBOL-1`, `SYMBOL-2`, … after that, in the file's order, as `adata.var_names_make_unique()` has
    it, so that scanpy users meet the names they know. The probes of a probe-level matrix (ids such as
    `ENSMUSG00000020932|Gfap|8eab823`) are counted for the gene whose Ensembl id they carry; withdrawn ones are not.

    Parameters
    ----------
    path
        The matrix, for messages.
    ids, names
        (features,) ids and symbols.
    types
        (features,) kinds of feature; without them all are genes.

    Raises
    ------
    InputError
        If there are no genes among them, or one has a name that cannot be a line of a gene list.
    """
    is_gene = np.ones(len(ids), dtype=bool) if types is None else np.asarray(types, dtype=object) == GENE
    gene_of_feature = np.full(len(ids), -1, dtype=np.int64)
    index_of_probed: dict[str, int] = {}
    gene_ids: list[str] = []
    symbols: list[str] = []
    for feature in np.flatnonzero(is_gene).tolist():
        gene_id, symbol, gene = ids[feature], names[feature].strip() or ids[feature], len(symbols)
        if "|" in gene_id:
            if gene_id.startswith(NOT_COUNTED):
                continue
            gene_id, in_id = gene_id.split("|")[:2]
            symbol = in_id if "|" in symbol else symbol
            gene = index_of_probed.setdefault(gene_id, gene)
        if gene == len(symbols):
            gene_ids.append(gene_id)
            symbols.append(symbol)
        gene_of_feature[feature] = gene
    if not symbols:
        raise InputError(f"{path}: holds no features of type {GENE!r}")
    for symbol in symbols:
        if not symbol.isprintable() or not symbol or symbol.startswith("#"):
            raise InputError(f"{path}: holds a gene of the name {symbol!r}, which is none; copy the file again")
    index = pd.Index(np.array(symbols, dtype=object))
    genes = [str(gene) for gene in make_index_unique(index)]
    return Features(
        genes=genes,
        ids=gene_ids,
        repeated=frozenset(np.array(genes, dtype=object)[index.duplicated(keep=False)]),
        gene_of_feature=gene_of_feature,
    )
