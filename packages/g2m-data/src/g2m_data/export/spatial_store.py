"""One SpatialData store, written by the library of that name (the extra ``g2m-data[spatialdata]``)."""

from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import dask
import dask.array as da
import numpy as np
import pandas as pd
import shapely
import zarr
from dask.delayed import delayed
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from scipy import sparse
from spatialdata import SpatialData
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Identity, Scale, Sequence, Translation

from g2m_data.export.section import ExportedSection
from g2m_data.image_store import CHUNK, IMAGE, SMALLEST
from g2m_data.progress import Track

INSTANCE = "instance_id"
APPENDED = 2048
"""Pairs appended to the store at once: many, since each time anndata reads again where the earlier rows end."""


def write_spatialdata(section: ExportedSection, path: Path, *, track: Track) -> None:
    """Write slide, windows (or spots) and counts as one SpatialData store.

    Elements: image `<sample>_slide` (resampled and stain-normalised, several scales), shapes `<sample>` (circles as
    wide as a spot; of Visium HD squares, the windows' patches) and the table `table`, which annotates them, as of the
    `.h5ad` export. The coordinate system `global` is the full-resolution slide's, integers being pixel centres, so that
    shapes lie where `obsm["spatial"]` says.

    Parameters
    ----------
    section
        What to write.
    path
        A folder that does not exist.
    track
        Shows progress over blocks of pairs.
    """
    shapes, slide = section.sample, f"{section.sample}_slide"
    rows = list(section.blocks(APPENDED))
    seen = iter(track(range(len(rows)), description=f"{section.sample}: counts", total=len(rows)))
    # one block after the other, in order: they are appended to the store
    with dask.config.set(scheduler="synchronous"), ad.settings.override(auto_shard_zarr_v3=False):
        SpatialData(
            images={slide: _slide(section)},
            shapes={shapes: _shapes(section)},
            tables={"table": _table(section, shapes, partial(_counts, section, seen))},
        ).write(path)
    for _ in seen:  # a bar that is full
        pass


def _slide(section: ExportedSection) -> Any:
    stored = zarr.open_array(section.dataset.path / "samples" / section.sample / IMAGE / "0", mode="r")
    # at least one: of a single scale the library makes more itself, and fails
    levels, longest = 1, max(stored.shape[1:]) // 2
    while longest > SMALLEST and min(stored.shape[1:]) >> levels > 1:
        levels, longest = levels + 1, longest // 2
    to_global = Sequence([Scale([1 / section.scale] * 2, axes=("x", "y")), Translation([-0.5, -0.5], axes=("x", "y"))])
    return Image2DModel.parse(
        da.from_zarr(stored),
        dims=("c", "y", "x"),
        c_coords=["r", "g", "b"],
        scale_factors=[2] * levels,
        chunks=(3, CHUNK, CHUNK),
        transformations={"global": to_global},
    )


def _shapes(section: ExportedSection) -> Any:
    xy, half = section.xy, section.width_px / 2
    index = np.arange(len(section))
    if section.entry["platform"] != "visium-hd":
        return ShapesModel.parse(xy, geometry=0, radius=half, index=index, transformations={"global": Identity()})
    squares = shapely.box(*(xy - half).T, *(xy + half).T)
    return ShapesModel.parse(GeoDataFrame(geometry=squares, index=index), transformations={"global": Identity()})


def _table(section: ExportedSection, shapes: str, counts: Any) -> ad.AnnData:
    n_genes = len(section.dataset.genes)
    meta = sparse.csr_matrix(np.zeros((0, n_genes), dtype=np.float32))
    blocks = [
        da.from_delayed(delayed(counts)(rows), shape=(len(rows), n_genes), dtype=np.float32, meta=meta)
        for rows in section.blocks(APPENDED)
    ]
    obs = section.obs.assign(region=pd.Categorical([shapes] * len(section)), **{INSTANCE: np.arange(len(section))})
    adata = ad.AnnData(
        X=da.concatenate(blocks),
        obs=obs,
        var=pd.DataFrame(index=pd.Index(section.dataset.genes, name="gene")),
        obsm={"spatial": section.xy},
        uns={"g2m": section.about},
    )
    return TableModel.parse(adata, region=shapes, region_key="region", instance_key=INSTANCE)


def _counts(section: ExportedSection, seen: Any, rows: NDArray[np.int64]) -> sparse.csr_matrix:
    next(seen, None)
    return sparse.csr_matrix(section.dataset.counts(rows).astype(np.float32))
