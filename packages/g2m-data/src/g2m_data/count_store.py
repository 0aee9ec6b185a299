"""A section's counts on disk: AnnData, `spots.zarr` or `bins.zarr`, rows in row-major order of the array."""

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.spaceranger.section import Section


@dataclass(frozen=True, kw_only=True)
class Places:
    """Spots or bins of a stored section, without their counts."""

    barcodes: NDArray[np.object_]
    array: NDArray[np.int32]
    """(n, 2): array row, array column."""
    xy: NDArray[np.float64]
    """(n, 2): centres in full-resolution pixels."""
    total_counts: NDArray[np.int64]
    """(n,): counts of all genes of the panel."""


def store_path(folder: Path, platform: str) -> Path:
    """Where a sample's counts are kept."""
    return folder / ("bins.zarr" if platform == "visium-hd" else "spots.zarr")


def write_counts(path: Path, section: Section, genes: list[str]) -> None:
    """Write a section as AnnData: X = counts, obs = array position and total, obsm["spatial"] = (x, y)."""
    obs = pd.DataFrame(
        {
            "array_row": section.array[:, 0],
            "array_col": section.array[:, 1],
            "total_counts": np.asarray(section.counts.sum(axis=1)).astype(np.int64),
        },
        index=pd.Index(section.barcodes, name="barcode"),
    )
    adata = ad.AnnData(
        X=sparse.csr_matrix(section.counts),
        obs=obs,
        var=pd.DataFrame(index=pd.Index(genes, name="gene")),
        obsm={"spatial": section.xy},
    )
    with ad.settings.override(auto_shard_zarr_v3=False):
        ad.io.write_elem(zarr.open_group(path, mode="w", zarr_format=3), "/", adata)


def read_places(path: Path) -> Places:
    """Read everything but the counts."""
    group = _open(path)
    obs: pd.DataFrame = ad.io.read_elem(group["obs"])
    return Places(
        barcodes=obs.index.to_numpy(dtype=object),
        array=obs[["array_row", "array_col"]].to_numpy(dtype=np.int32),
        xy=np.asarray(ad.io.read_elem(group["obsm/spatial"]), dtype=np.float64),
        total_counts=obs["total_counts"].to_numpy(dtype=np.int64),
    )


def read_stored_counts(path: Path) -> sparse.csr_array:
    """Read the counts, int32 (n, gene)."""
    return sparse.csr_array(ad.io.read_elem(_open(path)["X"]))


def _open(path: Path) -> zarr.Group:
    try:
        return zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: the dataset's counts are missing or damaged ({error}); build the dataset again"
        ) from None
