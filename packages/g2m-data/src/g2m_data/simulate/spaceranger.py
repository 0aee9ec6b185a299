"""Write what Space Ranger writes, strip by strip: a 10x HDF5 matrix, positions, scale factors and thumbnails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from g2m_data.simulate.config import SectionPlan
from g2m_data.simulate.counts import Molecules
from g2m_data.simulate.scanner import Image, write_thumbnails
from g2m_data.sorted_rows import sort_rows

Barcodes = npt.NDArray[np.bytes_]
CHUNK = 80_000  # elements of a compressed HDF5 chunk
POSITIONS = pa.schema(
    [
        ("barcode", pa.string()),
        ("in_tissue", pa.int64()),
        ("array_row", pa.int64()),
        ("array_col", pa.int64()),
        ("pxl_row_in_fullres", pa.float64()),
        ("pxl_col_in_fullres", pa.float64()),
    ]
)


def write_outs(
    outs: Path,
    plan: SectionPlan,
    strips: Iterable[Molecules],
    genes: list[str],
    quarter: Image,
    rng: np.random.Generator,
    gzip: int = 1,
) -> None:
    """Write one `outs` folder in the plan's layout; the strips follow one another down the array."""
    home = outs / "binned_outputs" / "square_002um" if plan.layout == "hd" else outs
    (home / "spatial").mkdir(parents=True)
    with ExitStack() as files:
        matrix = files.enter_context(MatrixFile(home / "filtered_feature_bc_matrix.h5", plan, genes, gzip))
        positions = files.enter_context(PositionsFile(home / "spatial", plan))
        if plan.layout == "hd":
            for counts, listed in _shuffled_bins(strips, positions, outs, rng):
                matrix.append(counts, listed)
        else:
            for strip in strips:
                barcodes = _spot_barcodes(len(strip.array_row), rng)
                positions.append(strip, barcodes)
                matrix.append(strip.counts, barcodes[strip.in_tissue])
    scale = write_thumbnails(home / "spatial", quarter, plan)
    (home / "spatial" / "scalefactors_json.json").write_text(json.dumps(scale))


def _shuffled_bins(
    strips: Iterable[Molecules], positions: PositionsFile, scratch: Path, rng: np.random.Generator
) -> Iterator[tuple[sparse.csr_array, Barcodes]]:
    """Write positions in the array's order, and give the bins under tissue in none: so Space Ranger lists them."""
    names, keys = [], []

    def bins() -> Iterator[tuple[sparse.csr_array, npt.NDArray[np.int64]]]:
        before = 0
        for strip in strips:
            barcodes = bin_barcodes(strip)
            positions.append(strip, barcodes)
            names.append(barcodes[strip.in_tissue])
            # the number of the bin makes no two keys equal
            number = np.arange(before, before + len(names[-1]))
            keys.append((rng.integers(0, 1 << 38, len(number)) << 24) + number)
            before += len(number)
            yield strip.counts, keys[-1]

    done, shuffled = 0, np.zeros(0, dtype="S1")
    for block in sort_rows(bins(), scratch):
        if not done:
            shuffled = np.concatenate(names)[np.argsort(np.concatenate(keys))]
        yield block, shuffled[done : done + block.shape[0]]
        done += block.shape[0]


class MatrixFile:
    """The 10x HDF5 matrix, features x barcodes, compressed by columns; a context that takes barcodes by portions."""

    def __init__(self, path: Path, plan: SectionPlan, genes: list[str], gzip: int) -> None:
        self._options = {"compression": "gzip", "compression_opts": gzip}
        self._genes = len(genes)
        self._file = h5py.File(path, "w")
        self._file.attrs["chemistry_desc"] = "Visium HD" if plan.layout == "hd" else "Visium V1"
        self._file.attrs["filetype"] = "matrix"
        self._file.attrs["library_ids"] = np.array([plan.id], dtype="S")
        self._file.attrs["original_gem_groups"] = np.array([1])
        self._file.attrs["version"] = 2
        self._group = self._file.create_group("matrix")
        self._write_features(genes)

    def __enter__(self) -> MatrixFile:
        self._append("indptr", np.zeros(1, np.int64))
        return self

    def append(self, counts: sparse.csr_array, barcodes: Barcodes) -> None:
        """Add barcodes and their counts."""
        self._append("indptr", counts.indptr[1:].astype(np.int64) + self._group["indptr"][-1])
        self._append("barcodes", barcodes)
        self._append("data", counts.data.astype(np.int32))
        self._append("indices", counts.indices.astype(np.int64))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shape = np.array([self._genes, len(self._group["indptr"]) - 1], np.int32)
        self._group.create_dataset("shape", data=shape)
        self._file.close()

    def _append(self, name: str, values: npt.NDArray[np.generic]) -> None:
        if name not in self._group:
            self._group.create_dataset(name, (0,), values.dtype, maxshape=(None,), chunks=(CHUNK,), **self._options)
        dataset = self._group[name]
        end = len(dataset)
        dataset.resize(end + len(values), axis=0)
        dataset[end:] = values

    def _write_features(self, genes: list[str]) -> None:
        features = self._group.create_group("features")
        # numbers from 9e10 up are not given out by Ensembl: an invented gene model never passes for a real one
        ids = [f"ENSMUSG{90_000_000_000 + i}" for i in np.argsort(np.argsort(genes))]
        columns = {
            "id": ids,
            "name": genes,
            "feature_type": ["Gene Expression"] * len(genes),
            "genome": ["phantom"] * len(genes),
        }
        for name, values in columns.items():
            features.create_dataset(name, data=np.array(values, dtype="S"), **self._options)
        features.create_dataset("_all_tag_keys", data=np.array(["genome"], dtype="S"))


class PositionsFile:
    """Positions: parquet (HD), CSV with a header (Space Ranger 2) or without one (Space Ranger 1); a context."""

    def __init__(self, spatial: Path, plan: SectionPlan) -> None:
        self._mpp = plan.mpp
        self._headed = plan.layout == "spaceranger2"
        name = {"hd": ".parquet", "spaceranger2": ".csv", "spaceranger1": "_list.csv"}[plan.layout]
        self._path = spatial / f"tissue_positions{name}"
        self._parquet = pq.ParquetWriter(self._path, POSITIONS) if plan.layout == "hd" else None

    def __enter__(self) -> PositionsFile:
        return self

    def append(self, molecules: Molecules, barcodes: Barcodes) -> None:
        """Add positions, on and off tissue."""
        xy = molecules.xy_um / self._mpp
        columns = [
            pa.array(barcodes).cast(pa.string()),
            molecules.in_tissue.astype(np.int64),
            molecules.array_row,
            molecules.array_col,
            xy[:, 1],
            xy[:, 0],
        ]
        if self._parquet:
            self._parquet.write_table(pa.table(columns, schema=POSITIONS))
            return
        columns[4:] = [column.round().astype(np.int64) for column in columns[4:]]
        table = pa.table(columns, names=POSITIONS.names).to_pandas()
        table.to_csv(self._path, mode="a", index=False, header=self._headed, lineterminator="\n")
        self._headed = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._parquet:
            self._parquet.close()


def bin_barcodes(molecules: Molecules) -> Barcodes:
    """`s_002um_ROW_COLUMN-1` with five digits each, (n,)."""
    pattern = np.frombuffer(b"s_002um_00000_00000-1", np.uint8)
    letters = np.tile(pattern, (len(molecules.array_row), 1))
    for last, numbers in ((12, molecules.array_row), (18, molecules.array_col)):
        for digit in range(5):
            letters[:, last - digit] += (numbers // 10**digit % 10).astype(np.uint8)
    return letters.view(f"S{len(pattern)}")[:, 0]


def _spot_barcodes(count: int, rng: np.random.Generator) -> Barcodes:
    letters = np.array(list("ACGT"))[rng.integers(0, 4, (2 * count, 16))]
    unique = list(dict.fromkeys("".join(word) for word in letters))
    return np.array([f"{word}-1" for word in unique[:count]], dtype="S")
