"""A section's counts on disk: AnnData, `spots.zarr` or `bins.zarr`, rows in row-major order of the array."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow as pa
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, ZstdCodec

from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.spaceranger.section import Section

CHUNK = 1 << 20
"""Non-zeros of a chunk."""
PACKED = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")
"""2.1 bytes a non-zero, packed and unpacked at gigabytes a second; Zstandard alone takes 2.2 at a tenth of that."""
BARCODE, BARCODES = "barcode", 1 << 17
"""Name of the index, and how many are of a chunk."""

FARTHEST = 1 << 16
"""Beyond the last row and column of any array: of a whole slide's bins 3,350."""


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


def write_counts(
    path: Path, section: Section, genes: list[str], *, track: Track = silent, description: str = ""
) -> NDArray[np.int64]:
    """Write a section as AnnData: X = counts, obs = array position and total, obsm["spatial"] = (x, y).

    The counts go from file to file block by block, so that they need not fit into memory.

    Returns
    -------
    (n,) each spot's counts of all genes of the panel.

    Raises
    ------
    InputError
        If the section's matrix is damaged.
    """
    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    obs = root.create_group("obs")
    with ad.settings.override(auto_shard_zarr_v3=False), ThreadPoolExecutor(1) as beside:
        barcodes = beside.submit(_write_barcodes, obs, section.barcodes)
        totals = _write_matrix(root, section, len(genes), path.parent, track, description)
        columns = {
            "array_row": np.ascontiguousarray(section.array[:, 0]),
            "array_col": np.ascontiguousarray(section.array[:, 1]),
            "total_counts": totals,
        }
        for name, column in columns.items():
            ad.io.write_elem(obs, name, column)
        obs.attrs.update(
            {
                "encoding-type": "dataframe",
                "encoding-version": "0.2.0",
                "_index": BARCODE,
                "column-order": list(columns),
            }
        )
        ad.io.write_elem(root, "var", pd.DataFrame(index=pd.Index(genes, name="gene")))
        ad.io.write_elem(root, "obsm", {"spatial": section.xy})
        for empty in ("varm", "obsp", "varp", "layers", "uns"):
            ad.io.write_elem(root, empty, {})
        barcodes.result()
    return totals


def _write_matrix(
    root: zarr.Group, section: Section, n_genes: int, scratch: Path, track: Track, description: str
) -> NDArray[np.int64]:
    """Write X; returns each row's sum."""
    group = root.create_group("X")
    data, indices = _Appended(group, "data"), _Appended(group, "indices")
    ends, totals = [np.zeros(1, dtype=np.int64)], []
    for block in section.counts(scratch, track=track, description=description):
        data.append(block.data)
        indices.append(block.indices)
        ends.append(block.indptr[1:].astype(np.int64) + ends[-1][-1])
        totals.append(np.asarray(block.sum(axis=1)).ravel().astype(np.int64))
    for array in (data, indices):
        array.finish()
    indptr = np.concatenate(ends)
    index = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    group.create_array("indptr", data=indptr.astype(index), chunks=(min(CHUNK, len(indptr)),), compressors=PACKED)
    shape = [len(indptr) - 1, n_genes]
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
    return np.concatenate(totals)


class _Appended:
    """A stored int32 array of a length that is not known beforehand, written in whole chunks."""

    def __init__(self, group: zarr.Group, name: str) -> None:
        self._array = group.create_array(name, shape=(0,), chunks=(CHUNK,), dtype="int32", compressors=PACKED)
        self._held = np.zeros(0, dtype=np.int32)

    def append(self, values: NDArray[np.integer]) -> None:
        joined = np.concatenate([self._held, values.astype(np.int32, copy=False)])
        whole = len(joined) // CHUNK * CHUNK
        self._write(joined[:whole])
        self._held = joined[whole:].copy()

    def finish(self) -> None:
        self._write(self._held)

    def _write(self, values: NDArray[np.int32]) -> None:
        if len(values):
            written = self._array.shape[0]
            self._array.resize((written + len(values),))
            self._array[written:] = values


def _write_barcodes(obs: zarr.Group, barcodes: pa.Array) -> None:
    """Write the index of `obs`, a block at a time, because as Python strings all of them are a gigabyte."""
    array = obs.create_array(
        BARCODE,
        shape=(len(barcodes),),
        chunks=(min(BARCODES, len(barcodes)),),
        dtype="string",
        compressors=ZstdCodec(level=1),
        attributes={"encoding-type": "string-array", "encoding-version": "0.2.0"},
    )
    for start in range(0, len(barcodes), BARCODES):
        block = barcodes[start : start + BARCODES]
        array[start : start + len(block)] = block.to_numpy(zero_copy_only=False)


def read_places(path: Path) -> Places:
    """Read everything but the counts.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    with stored_section(path) as group:
        obs: pd.DataFrame = ad.io.read_elem(group["obs"])
        places = Places(
            barcodes=obs.index.to_numpy(dtype=object),
            array=obs[["array_row", "array_col"]].to_numpy(dtype=np.int32),
            xy=np.asarray(ad.io.read_elem(group["obsm/spatial"]), dtype=np.float64),
            total_counts=obs["total_counts"].to_numpy(dtype=np.int64),
        )
        row, col = places.array.astype(np.int64).T
        if len(obs) and (places.array.min() < 0 or places.array.max() > FARTHEST):
            raise ValueError("places beyond any array")
        if (np.diff(row * (FARTHEST + 1) + col) <= 0).any():
            raise ValueError("places out of order")
        if (places.barcodes == "").any():
            raise ValueError("places without a barcode")
        if places.xy.shape != (len(obs), 2) or not np.isfinite(places.xy).all():
            raise ValueError("coordinates that do not match its places")
        if (places.xy == 0).all(axis=1).sum() > 1:  # one place may lie at the corner; what was lost is read as zeros
            raise ValueError("coordinates that were lost")
    return places


@contextmanager
def stored_section(path: Path) -> Iterator[zarr.Group]:
    """Open a stored section for reading.

    Raises
    ------
    InputError
        If it is missing, or what is done with it shows that it is damaged.
    """
    try:
        yield zarr.open_group(path, mode="r")
    # zarr, its codecs and anndata report damage as any of these, depending on where it lies
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: the dataset's counts are missing or damaged ({reason}); build the dataset again"
        ) from None
