"""Sections of the phantom, disturbed by known amounts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import sparse

from g2m_data.doctor.examine import Examination, examine
from g2m_data.simulate import simulate_study

X, Y = "pxl_col_in_fullres", "pxl_row_in_fullres"
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Patient:
    """A study of one section of the phantom, whose files may be disturbed before it is examined."""

    folder: Path
    """Of the section: outs/ and its slide."""
    manifest: Path
    mpp: float

    def move(self, change: Change) -> None:
        """Change the spots' (x, y), in full-resolution pixels."""
        path = next(self.folder.rglob("tissue_positions*"))
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            table[[X, Y]] = change(table[[X, Y]].to_numpy())
            table.to_parquet(path, index=False)
        else:
            table = pd.read_csv(path, header=None)
            table[[5, 4]] = change(table[[5, 4]].to_numpy(dtype=float)).round().astype(int)
            table.to_csv(path, index=False, header=False)

    def displace_molecules(self, rows: int, columns: int, *, raw: bool) -> None:
        """Move the counts over the array of bins, while the tissue found on the slide stays; a raw matrix too if asked.

        Where molecules leave the tissue only a raw matrix knows of them; a few are everywhere.
        """
        table = pd.read_parquet(next(self.folder.rglob("tissue_positions.parquet")))
        filtered = next(self.folder.rglob("filtered_feature_bc_matrix.h5"))
        with h5py.File(filtered) as file:
            group = file["matrix"]
            shape = group["shape"][:][::-1]
            counts = sparse.csr_array((group["data"][:], group["indices"][:], group["indptr"][:]), shape=shape)
            row_of = dict(zip(group["barcodes"].asstr()[:], range(len(counts.indptr) - 1), strict=True))
        place = dict(zip(zip(table["array_row"], table["array_col"], strict=True), table["barcode"], strict=True))
        sources = [
            row_of.get(place.get((row - rows, column - columns)), -1)
            for row, column in zip(table["array_row"], table["array_col"], strict=True)
        ]
        padded = sparse.vstack([counts, sparse.csr_array((1, shape[1]), dtype=counts.dtype)]).tocsr()
        size, rng = len(table) // 20, np.random.default_rng(0)
        where = rng.integers(0, len(table), size), rng.integers(0, shape[1], size)
        noise = sparse.coo_array((np.ones(size, np.int32), where), shape=(len(table), shape[1]))
        every = sparse.csr_array(padded[sources] + noise)
        tissue = (table["in_tissue"] == 1).to_numpy()
        if raw:
            shutil.copyfile(filtered, filtered.with_name("raw_feature_bc_matrix.h5"))
            _replace_counts(filtered.with_name("raw_feature_bc_matrix.h5"), every, table["barcode"].to_numpy())
        _replace_counts(filtered, every[tissue], table["barcode"].to_numpy()[tissue])

    @property
    def slide(self) -> Path:
        return next(self.folder.glob("tissue.*"))

    def repaint(self, image: np.ndarray) -> None:
        path = self.slide
        path.unlink()
        tifffile.imwrite(path, image, photometric="rgb", tile=(256, 256), compression="zlib")

    def examine(self) -> Examination:
        return next(iter(examine(self.manifest)))


def _replace_counts(path: Path, counts: sparse.csr_array, barcodes: np.ndarray) -> None:
    with h5py.File(path, "a") as file:
        group = file["matrix"]
        fields = {"data": counts.data.astype(np.int32), "indices": counts.indices, "indptr": counts.indptr}
        for name, values in (fields | {"shape": counts.shape[::-1], "barcodes": barcodes.astype("S")}).items():
            del group[name]
            group[name] = values


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_study(tmp_path_factory.mktemp("phantom") / "tiny", preset="tiny", seed=3, workers=1).parent


@pytest.fixture
def admit(phantom: Path, tmp_path: Path) -> Callable[..., Patient]:
    def admit(sample: str = "hd1", settings: str = "", stain: str = "macenko") -> Patient:
        folder = tmp_path / sample
        shutil.copytree(phantom / "raw" / sample, folder)
        platform, slide = ("visium-hd", "tissue.btf") if sample == "hd1" else ("visium", "tissue.tif")
        manifest = tmp_path / f"{sample}.toml"
        manifest.write_text(
            f'[study]\nname = "patient"\n[patch]\nstain = "{stain}"\n[[sample]]\nid = "{sample}"\nsplit = "train"\n'
            f'platform = "{platform}"\nspaceranger = "{sample}/outs"\nimage = "{sample}/{slide}"\n{settings}\n'
        )
        return Patient(folder, manifest, {"hd1": 0.4523, "visium1": 0.5011}[sample])

    return admit


@pytest.fixture(scope="session")
def healthy(phantom: Path) -> dict[str, Examination]:
    """All sections of the phantom as they are."""
    return {examination.report.id: examination for examination in examine(phantom / "study.toml")}
