"""Neighbours, and Leiden clusters in a wanted number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from jaxtyping import Float, Int
from scipy import sparse

from g2m_eval.errors import InputError

LOWEST, HIGHEST = 1e-3, 16.0
"""Resolutions between which is searched."""
_BISECTIONS = 14
_SCAN = 25


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """Leiden clusters of some spots.

    Attributes
    ----------
    labels
        Cluster of each spot, 0 being the largest.
    resolution
        At which they were found.
    wanted
        How many clusters were looked for.
    neighbours
        Of each spot in the graph.
    """

    labels: Int[np.ndarray, " spot"]
    resolution: float
    wanted: int
    neighbours: int

    @property
    def number(self) -> int:
        """How many clusters there are."""
        return int(self.labels.max()) + 1


def find_clusters(
    points: Float[np.ndarray, "spot dim"],
    *,
    clusters: int = 5,
    neighbours: int = 15,
    seed: int = 0,
    where: str = "these spots",
) -> Clustering:
    """Leiden clusters (modularity, igraph's) of the neighbour graph, in a wanted number as far as there is one.

    Parameters
    ----------
    points
        Embeddings or principal components; neighbours are the nearest by Euclidean distance, found exactly.
    clusters
        How many are wanted; see `search_resolution`.
    neighbours
        Of each spot, itself among them, as scanpy counts; fewer where there are fewer spots.
    seed
        Of Leiden.
    where
        What is clustered, for the error.

    Raises
    ------
    InputError
        There are fewer spots than clusters, or fewer than 3.
    """
    if len(points) < max(clusters, 3):
        raise InputError(
            f"{where}: {len(points)} spots cannot be {clusters} clusters: ask for fewer clusters, or leave them out"
        )
    import scanpy

    data = AnnData(np.ascontiguousarray(points, dtype=np.float32))
    count = min(neighbours, len(points) - 1)
    connect(data, neighbours=count, seed=seed)
    found: dict[float, Int[np.ndarray, " spot"]] = {}

    def number_at(resolution: float) -> int:
        if resolution not in found:
            scanpy.tl.leiden(
                data, resolution=resolution, flavor="igraph", n_iterations=2, directed=False, random_state=seed
            )
            found[resolution] = data.obs["leiden"].cat.codes.to_numpy().astype(np.int64)
        return len(np.unique(found[resolution]))

    resolution = search_resolution(number_at, clusters)
    return Clustering(labels=found[resolution], resolution=resolution, wanted=clusters, neighbours=count)


def connect(data: AnnData, *, neighbours: int, seed: int) -> None:
    """Write scanpy's neighbour graph of X into ``data``.

    Neighbours come from scikit-learn, whatever their number: exact, and without compiling an approximate index in every
    fresh process.
    """
    import scanpy

    scanpy.pp.neighbors(
        data, n_neighbors=min(neighbours, data.n_obs - 1), use_rep="X", transformer="sklearn", random_state=seed
    )


def search_resolution(number_at: Callable[[float], int], wanted: int) -> float:
    """Find a resolution that gives a wanted number of clusters, or the nearest number.

    The number grows with the resolution, but not at every step. So first the interval between `LOWEST` and `HIGHEST`
    is halved (in logarithms), 14 times at most, ending with the first resolution that gives the number. If none did, 25
    resolutions spread evenly over the interval are tried as well. If none of all gives it, the one with the nearest
    number is taken, of two equally near ones that with fewer clusters, and of those the lowest resolution.

    Parameters
    ----------
    number_at
        Number of clusters at a resolution.
    wanted
        Number to find.
    """
    numbers: dict[float, int] = {}
    low, high = LOWEST, HIGHEST
    for _ in range(_BISECTIONS):
        middle = float(np.sqrt(low * high))
        numbers[middle] = number_at(middle)
        if numbers[middle] == wanted:
            return middle
        low, high = (middle, high) if numbers[middle] < wanted else (low, middle)
    for resolution in np.geomspace(LOWEST, HIGHEST, _SCAN).tolist():
        numbers[resolution] = number_at(resolution)
        if numbers[resolution] == wanted:
            return float(resolution)
    return min(numbers, key=lambda resolution: (abs(numbers[resolution] - wanted), numbers[resolution], resolution))


def principal_components(
    expression: Float[np.ndarray, "spot gene"] | sparse.csr_matrix | sparse.csr_array,
    *,
    components: int = 50,
    seed: int = 0,
) -> Float[np.ndarray, "spot component"]:
    """Principal components (scanpy's) of log-normalised expression, all genes alike: neither chosen nor scaled.

    Sparse expression stays sparse: 9,132 spots of 18,248 genes need little more than the matrix itself.

    Parameters
    ----------
    expression
        log1p of normalised counts.
    components
        At most; fewer where there are fewer spots or genes.
    seed
        Of the solver.
    """
    import scanpy

    data = AnnData(expression)
    count = min(components, data.n_obs - 1, data.n_vars - 1)
    scanpy.pp.pca(data, n_comps=count, svd_solver="arpack", random_state=seed)
    return np.asarray(data.obsm["X_pca"], dtype=np.float32)
