"""AnnData on disk, its counts appended block by block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from g2m_data.export.section import ExportedSection
from g2m_data.hdf5_file import create_hdf5
from g2m_data.progress import Track
from g2m_data.resample import overview

CHUNK = 1 << 18
"""Non-zeros in a chunk of the file."""
THUMBNAILS = {"hires": 2000, "lowres": 600}
"""Longest sides, pixels, as Space Ranger has them."""


def write_h5ad(section: ExportedSection, path: Path, *, track: Track) -> None:
    """Write `.h5ad` in bounded memory: of all that is written, only a block of pairs is held at a time.

    X holds counts, as the Visium readers of scanpy and squidpy give them. `uns["g2m"]` says how the dataset's own
    expression follows: `sc.pp.normalize_total(adata, target_sum=adata.uns["g2m"]["library_size_target"])`, then
    `sc.pp.log1p`.
    `obsm["spatial"]` are the centres; `uns["spatial"]` has the stain-normalised slide as thumbnails, so that
    `sc.pl.spatial` draws on it (windows overlap: `spot_size=adata.uns["g2m"]["stride_px"]` draws them side by side).

    Parameters
    ----------
    section
        What to write.
    path
        A file that does not exist.
    track
        Shows progress over blocks of pairs.
    """
    about = section.about
    if "windows" in about:
        windows = about["windows"]
        about["stride_px"] = windows["stride_bins"] * windows["bin_um"] / section.mpp
    skeleton = ad.AnnData(
        obs=section.obs,
        var=pd.DataFrame(index=pd.Index(section.dataset.genes, name="gene")),
        obsm={"spatial": section.xy},
        uns={"g2m": about, "spatial": {section.sample: _thumbnails(section)}},
    )
    with create_hdf5(path) as (file, check):
        ad.io.write_elem(file, "/", skeleton)
        for _ in track(_write_counts(section, file), description=f"{section.sample}: counts", total=section.n_blocks):
            check()


def _write_counts(section: ExportedSection, file: h5py.File) -> Iterator[None]:
    """Append X, as AnnData stores CSR, a block at a time."""
    for empty in {"X", "raw"} & set(file):  # of "raw" the name alone makes anndata's backed mode look for more
        del file[empty]
    # a slide may have more than 2**31 non-zeros; indices and row ends are of one kind, or scikit-learn refuses them
    most = int(np.minimum(section.obs["total_counts"], len(section.dataset.genes)).sum())
    index_type = np.int32 if most <= np.iinfo(np.int32).max else np.int64
    group = file.create_group("X")
    group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
    group.attrs["shape"] = np.array([len(section), len(section.dataset.genes)])
    options: dict[str, Any] = {"shape": (0,), "maxshape": (None,), "chunks": (CHUNK,), "compression": "gzip"}
    options |= {"compression_opts": 1, "shuffle": True}
    data = group.create_dataset("data", dtype=np.float32, **options)
    indices = group.create_dataset("indices", dtype=index_type, **options)
    ends: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    for counts in section.counts():
        before, after = len(data), len(data) + counts.nnz
        for stored, values in ((data, counts.data), (indices, counts.indices)):
            stored.resize((after,))
            stored[before:after] = values
        ends.append(counts.indptr[1:].astype(np.int64) + before)
        yield
    group.create_dataset("indptr", data=np.concatenate(ends).astype(index_type))


def _thumbnails(section: ExportedSection) -> dict[str, Any]:
    """Images and scale factors where scanpy looks for them."""
    slide = section.dataset.slide(section.sample)
    images, scales = {}, {}
    for name, longest in THUMBNAILS.items():
        images[name] = overview(slide, longest)
        factor = -(-max(slide.shape[:2]) // longest)
        scales[f"tissue_{name}_scalef"] = section.scale / factor
    return {
        "images": images,
        "scalefactors": {**scales, "spot_diameter_fullres": section.width_px},
        "metadata": {"software": "g2m-data", "stain": section.dataset.manifest["patch"]["stain"]},
    }
