from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import anndata
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from g2m_encoders.alignment import MINIMUM_SHARE
from g2m_encoders.model import ContrastiveModel

Track = Callable[..., Iterable[Any]]


@runtime_checkable
class Pairs(Protocol):
    """What `embed_pairs` reads of a paired dataset."""

    @property
    def genes(self) -> Sequence[str]:
        """Names of the columns of `expression`."""

    @property
    def obs(self) -> pd.DataFrame:
        """One row a pair; `x` and `y` are its position, if present."""

    def __len__(self) -> int: ...

    def expression(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Normalised log1p expression, (n, gene)."""


def pass_through(sequence: Iterable[Any], **_: Any) -> Iterable[Any]:
    """The silent default of `track`."""
    return sequence


@torch.no_grad()
def embed_pairs(
    model: ContrastiveModel,
    pairs: Pairs,
    *,
    batch_size: int = 1024,
    minimum_share: float = MINIMUM_SHARE,
    precision: Literal["no", "bf16"] = "no",
    provenance: Mapping[str, Any] | None = None,
    track: Track = pass_through,
) -> anndata.AnnData:
    """Embed the expression of every pair, a batch at a time.

    Parameters
    ----------
    model
        On any device; one loaded with `image=False` is enough.
    pairs
        Genes in any order: they are matched to the model's panel by name.
    batch_size
        Pairs held as expression at once; only embeddings are kept.
    minimum_share
        Share of the model's panel that `pairs` must have.
    precision
        Of the products of matrices; `bf16` saves time on a GPU and changes the embeddings' third digits.
    provenance
        Added to `uns`.
    track
        As `rich.progress.track`.

    Returns
    -------
    X: float32 embeddings of unit norm; obs: a copy of the pairs'; obsm["spatial"]: x, y; uns:
    `null_embedding`, `genes_found` and the provenance.

    Raises
    ------
    InputError
        If too few of the panel's genes are there.
    """
    alignment = model.align(list(pairs.genes), minimum_share=minimum_share)
    training, autocast = model.training, torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16")
    model.eval()
    embeddings = np.empty((len(pairs), model.settings.embedding_dim), dtype=np.float32)
    starts = range(0, len(pairs), batch_size)
    for start in track(starts, description="Embedding", total=len(starts)):
        indices = np.arange(start, min(start + batch_size, len(pairs)))
        expression = torch.from_numpy(alignment.apply(pairs.expression(indices)))
        with autocast:
            embedded = model.embed_expression(expression.to(model.device))
        embeddings[indices] = _unit(embedded).cpu().numpy()
    with autocast:
        null = _unit(model.null_embedding()).cpu().numpy()
    model.train(training)

    names = pd.Index([f"embedding_{i}" for i in range(embeddings.shape[1])])
    result = anndata.AnnData(X=embeddings, obs=pairs.obs.copy(), var=pd.DataFrame(index=names))
    if {"x", "y"} <= set(result.obs.columns):
        result.obsm["spatial"] = result.obs[["x", "y"]].to_numpy(dtype=np.float64)
    result.uns["null_embedding"] = null
    result.uns["genes_found"] = alignment.describe()
    result.uns.update(provenance or {})
    return result


def _unit(embeddings: Tensor) -> Tensor:
    """In float32; half precision leaves a norm of 1 to three digits only."""
    return embeddings if embeddings.dtype == torch.float32 else functional.normalize(embeddings.float(), dim=-1)
