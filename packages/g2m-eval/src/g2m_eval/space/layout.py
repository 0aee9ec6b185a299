"""UMAP layouts: pictures of which points are neighbours, from which nothing is measured."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from jaxtyping import Float

from g2m_eval.space.clustering import connect


def lay_out(data: AnnData, *, neighbours: int = 15, seed: int = 0) -> None:
    """Write scanpy's neighbour graph and UMAP of X into ``data``; the same seed gives the same layout."""
    import scanpy

    connect(data, neighbours=neighbours, seed=seed)
    # a random start: the spectral one fails on the very small and the disconnected
    scanpy.tl.umap(data, init_pos="spectral" if data.n_obs > 10 * neighbours else "random", random_state=seed)


def layout_of(
    points: Float[np.ndarray, "point dim"], *, neighbours: int = 15, seed: int = 0
) -> Float[np.ndarray, "point 2"]:
    """UMAP of points alone."""
    data = AnnData(np.ascontiguousarray(points, dtype=np.float32))
    lay_out(data, neighbours=neighbours, seed=seed)
    return np.asarray(data.obsm["X_umap"], dtype=np.float32)
