"""A whole section's `.h5ad`, opened by scanpy and clustered as it is."""

from __future__ import annotations

import time

CELLS = 5_000
"""Windows that are clustered: spread over the section, since neighbours overlap and say much the same."""


def cluster(path: str) -> dict[str, float]:
    """Open the file, take every n-th window of it, and do what scanpy's tutorial does; seconds for each."""
    import anndata as ad
    import h5py
    import numpy as np
    import scanpy as sc

    with h5py.File(path) as file:
        nonzeros = int(file["X/indptr"][-1])
    began = time.perf_counter()
    backed = ad.read_h5ad(path, backed="r")
    opened = time.perf_counter()
    rows = np.arange(0, backed.n_obs, max(1, backed.n_obs // CELLS))
    adata = backed[rows].to_memory()
    read = time.perf_counter()
    sc.pp.normalize_total(adata, target_sum=adata.uns["g2m"]["library_size_target"])
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=min(2000, adata.n_vars))
    sc.pp.pca(adata, n_comps=30)
    sc.pp.neighbors(adata)
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    ended = time.perf_counter()
    return {
        "windows": backed.n_obs,
        "nonzeros": nonzeros,
        "open_s": opened - began,
        "read_s": read - opened,
        "cluster_s": ended - read,
        "clustered": adata.n_obs,
        "clusters": adata.obs["leiden"].nunique(),
    }
