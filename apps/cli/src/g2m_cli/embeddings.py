"""embeddings.h5ad: the condition of every pair, written whole and read with a clear word when it does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.errors import InputError
from g2m_cli.provenance import provenance
from g2m_cli.study import dataset_id, folder_id

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What generators are given for the pairs of a dataset."""

    embedding: NDArray[np.float32]
    """(pair, dim), a row a pair, in the dataset's order."""
    null: NDArray[np.float32]
    """(dim,): the embedding of an expression of zeros, which stands for no condition."""


def embed(dataset_folder: Path, model_folder: Path, out: Path, *, allow_missing_genes: bool = False) -> Path:
    """Embed the expression of every pair of a dataset.

    Parameters
    ----------
    dataset_folder, model_folder
        The paired dataset, and an exported pair of encoders; genes are matched by name.
    out
        File to write (``.h5ad``): X = embedding; obs = the dataset's; obsm["spatial"]; uns["null_embedding"].
    allow_missing_genes
        Go on although the dataset has less than 95 % of the model's genes.

    Raises
    ------
    InputError
        If ``out`` exists, or genes are missing.
    """
    from g2m_cli.console import track
    from g2m_cli.device import compute_device
    from g2m_cli.files import complete_or_absent
    from g2m_data import open_dataset
    from g2m_encoders import ContrastiveModel, embed_pairs

    dataset = open_dataset(dataset_folder)
    model = ContrastiveModel.from_pretrained(model_folder, image=False).to(compute_device())
    record = embeddings_record(dataset_folder, model_folder, allow_missing_genes=allow_missing_genes)
    options: dict[str, Any] = {"minimum_share": 0.0} if allow_missing_genes else {}
    with complete_or_absent(out) as partial:
        embeddings = embed_pairs(
            model,
            dataset,
            provenance={"provenance": _plain(record)},
            track=track,
            **options,
        )
        embeddings.write_h5ad(partial)
    return out


def embeddings_record(dataset_folder: Path, model_folder: Path, *, allow_missing_genes: bool = False) -> dict[str, Any]:
    """Describe the embeddings that this dataset and this model give."""
    parents = {"dataset": dataset_id(dataset_folder), "encoders": model_id(model_folder)}
    return provenance("embeddings", {"allow_missing_genes": allow_missing_genes}, parents)


def read_embeddings(path: Path) -> AnnData:
    """Read an embeddings file.

    Raises
    ------
    InputError
        If it is absent, damaged, or not an embeddings file.
    """
    import anndata

    if not path.is_file():
        raise InputError(f"{path}: no such file; `g2m encoders embed` writes it")
    try:
        embeddings = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable .h5ad file ({str(error).splitlines()[0]}); run `g2m encoders embed` again"
        ) from None
    missing = [key for key in ("null_embedding", "provenance") if key not in embeddings.uns]
    if missing:
        raise InputError(f"{path}: lacks uns[{missing[0]!r}], so it is not an embeddings file of `g2m encoders embed`")
    return embeddings


def read_conditions(path: Path, pairs: Iterable[str]) -> Conditions:
    """Read the conditions of a dataset's pairs from an embeddings file.

    Raises
    ------
    InputError
        If it is no embeddings file, or some pairs have none.
    """
    embeddings = read_embeddings(path)
    rows = rows_of(embeddings, pairs, path)
    return Conditions(
        embedding=np.asarray(embeddings.X, np.float32)[rows],
        null=np.asarray(embeddings.uns["null_embedding"], np.float32),
    )


def rows_of(embeddings: AnnData, pairs: Iterable[str], path: Path) -> NDArray[np.int64]:
    """Find the embedding of each pair.

    Raises
    ------
    InputError
        If some pairs have none.
    """
    names = list(pairs)
    rows = embeddings.obs_names.get_indexer(names)
    if (rows < 0).any():
        first = names[int(np.argmax(rows < 0))]
        raise InputError(
            f"{path}: no embedding for {(rows < 0).sum()} of {len(rows)} pairs (the first is {first}); "
            "embed this very dataset"
        )
    return np.asarray(rows, np.int64)


def model_id(folder: Path) -> str | None:
    """Give the id of an exported model, from its run's provenance; ``None`` for a model from elsewhere."""
    return folder_id(folder) or folder_id(folder.parent)


def _plain(value: Any) -> Any:
    """Make nested data fit for HDF5: no None, no lists of mixed types, no slashes in keys."""
    if isinstance(value, dict):
        return {str(key).replace("/", "|"): _plain(item) for key, item in value.items() if item is not None}
    return value if isinstance(value, (str, int, float, bool)) else str(value)
