"""What a cluster expresses on average, from its spots, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from g2m_interpret.errors import InputError
from g2m_interpret.progress import Track, pass_through

ExpressionRows = Callable[[NDArray[np.int64]], NDArray[np.floating]]
"""Rows asked for -> normalised log1p expression (n, gene), computed on demand."""


@dataclass(frozen=True, kw_only=True)
class ClusterProfiles:
    """Mean profile of each cluster.

    Attributes
    ----------
    genes, clusters
        Names of columns and rows; clusters in alphabetical order unless they were given.
    mean, deviation
        Of log1p expression over a cluster's spots.
    spots
        In each cluster.
    embedding
        Mean of the spots' embeddings, if an encoder was handed in.
    """

    genes: tuple[str, ...]
    clusters: tuple[str, ...]
    mean: Float[np.ndarray, "cluster gene"]
    deviation: Float[np.ndarray, "cluster gene"]
    spots: Int[np.ndarray, " cluster"]
    embedding: Float[np.ndarray, "cluster dim"] | None = None

    def row(self, cluster: str) -> int:
        """Where a cluster's row is.

        Raises
        ------
        InputError
            There is no such cluster.
        """
        if cluster not in self.clusters:
            raise InputError(f"no cluster {cluster!r}; there are {', '.join(self.clusters)}")
        return self.clusters.index(cluster)


@torch.no_grad()
def cluster_profiles(
    expression: ExpressionRows | NDArray[np.floating],
    labels: ArrayLike,
    genes: Sequence[str],
    *,
    encode: Callable[[Float[Tensor, "n gene"]], Float[Tensor, "n dim"]] | None = None,
    clusters: Sequence[str] | None = None,
    batch_size: int = 1024,
    track: Track = pass_through,
) -> ClusterProfiles:
    """Average log1p expression over each cluster's spots (paper, Results: cluster-averaged expression profiles).

    Parameters
    ----------
    expression
        (n, gene), or what gives rows of it.
    labels
        Cluster of each spot; None, NaN or "" leaves a spot out.
    genes
        Names of the columns.
    encode
        Takes float32 profiles; for the mean embeddings.
    clusters
        Which, in this order; all by default.
    batch_size
        Spots held as expression at once.

    Raises
    ------
    InputError
        A cluster has no spot, or fewer than two clusters are left, or sizes do not fit.
    """
    rows = _as_rows(expression, len(np.asarray(labels)))
    names = np.array(["" if item is None or item != item else str(item) for item in np.asarray(labels, dtype=object)])
    chosen = tuple(clusters) if clusters is not None else tuple(sorted(set(names[names != ""])))
    empty = [name for name in chosen if not (names == name).any()]
    if empty:
        raise InputError(f"no spot carries the label {empty[0]!r}; labels are {', '.join(sorted(set(names)))}")
    if len(chosen) < 2:
        raise InputError(f"an attribution compares clusters, and there is only {', '.join(chosen) or 'none'}")
    members = [np.flatnonzero(names == name) for name in chosen]
    batches = [
        (row, spots[start : start + batch_size])
        for row, spots in enumerate(members)
        for start in range(0, len(spots), batch_size)
    ]
    total, squares = np.zeros((2, len(chosen), len(genes)))
    embedding: NDArray[np.float64] | None = None
    for row, spots in track(batches, description="Averaging clusters", total=len(batches)):
        part = np.asarray(rows(spots))
        if part.shape != (len(spots), len(genes)):
            raise InputError(f"expression of {len(spots)} spots has shape {part.shape}; expected {len(genes)} genes")
        total[row] += part.sum(axis=0, dtype=np.float64)
        squares[row] += np.square(part, dtype=np.float64).sum(axis=0)
        if encode is not None:
            summed = encode(torch.from_numpy(part.astype(np.float32))).double().sum(dim=0).cpu().numpy()
            embedding = np.zeros((len(chosen), len(summed))) if embedding is None else embedding
            embedding[row] += summed
    count = np.array([len(spots) for spots in members])
    mean = total / count[:, None]
    deviation = np.sqrt(np.maximum(squares / count[:, None] - mean**2, 0))
    return ClusterProfiles(
        genes=tuple(genes),
        clusters=chosen,
        mean=mean,
        deviation=deviation,
        spots=count,
        embedding=None if embedding is None else embedding / count[:, None],
    )


def _as_rows(expression: ExpressionRows | NDArray[np.floating], spots: int) -> ExpressionRows:
    if not isinstance(expression, np.ndarray):
        return expression
    if len(expression) != spots:
        raise InputError(f"{len(expression)} profiles but {spots} labels: give one label each")
    return expression.__getitem__
