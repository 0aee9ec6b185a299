"""Small Space Ranger folders, written to disk by the tests themselves."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import sparse

from g2m_data.bin_counts import BinCounts

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]


@dataclass(kw_only=True)
class FakeSection:
    """A section whose every number is known."""

    array: np.ndarray
    """(n, 2) array row, column."""
    xy: np.ndarray
    """(n, 2) full-resolution pixels."""
    counts: np.ndarray
    """(n, gene)."""
    genes: list[str]
    in_tissue: np.ndarray
    slide: np.ndarray
    scalefactors: dict[str, float] = field(default_factory=dict)

    @cached_property
    def barcodes(self) -> list[str]:
        return [f"s_002um_{row:05d}_{col:05d}-1" for row, col in self.array]


def place(
    array: np.ndarray,
    *,
    mpp: float,
    row_um: float,
    col_um: float,
    rotation: float = 0.0,
    flip_rows: bool = False,
    flip_cols: bool = False,
    margin_px: float = 120.0,
) -> np.ndarray:
    """Pixels of array positions, moved so that the section begins `margin_px` from the slide's corner."""
    angle = math.radians(rotation)
    x = array[:, 1] * col_um / mpp * (-1 if flip_cols else 1)
    y = array[:, 0] * row_um / mpp * (-1 if flip_rows else 1)
    turned = np.column_stack([x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)])
    return turned - turned.min(axis=0) + margin_px


def white_slide(xy: np.ndarray, margin_px: float = 120.0) -> np.ndarray:
    width, height = np.ceil(xy.max(axis=0) + margin_px).astype(int)
    return np.full((height, width, 3), 245, np.uint8)


def hd_section(
    rows: int = 44, cols: int = 40, *, first: tuple[int, int] = (403, 1201), holes: int = 3, seed: int = 0, **where: Any
) -> FakeSection:
    """Bins of 2 µm on a grid that starts elsewhere than 0, with a ragged edge and holes; a blank slide."""
    rng = np.random.default_rng(seed)
    array = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1).reshape(-1, 2)
    array = array + np.array(first)
    in_tissue = np.ones((rows, cols), dtype=bool)
    in_tissue[0, : cols // 2] = False
    in_tissue[rng.integers(0, rows, holes), rng.integers(0, 4, holes)] = False
    genes = ["ONE", "ROW", "COL", *(f"Gene{i}" for i in range(20))]
    counts = rng.poisson(0.3, (len(array), len(genes)))
    counts[:, 0], counts[:, 1], counts[:, 2] = 1, array[:, 0], array[:, 1]
    mpp = where.pop("mpp", 0.31)
    xy = place(array, mpp=mpp, row_um=2, col_um=2, **where)
    return FakeSection(
        array=array,
        xy=xy,
        counts=counts,
        genes=genes,
        in_tissue=in_tissue.ravel(),
        slide=white_slide(xy),
        scalefactors={"microns_per_pixel": mpp, "bin_size_um": 2.0, "spot_diameter_fullres": 2.0 / mpp},
    )


def spot_section(
    rows: int = 12,
    cols: int = 12,
    *,
    platform: str = "visium",
    genes: Sequence[str] | None = None,
    seed: int = 0,
    **where: Any,
) -> FakeSection:
    """Spots of Visium or of a legacy array."""
    rng = np.random.default_rng(seed)
    array = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1).reshape(-1, 2)
    array = array + np.array((3, 5))
    if platform == "visium":
        array = array[array.sum(axis=1) % 2 == 0]
    mpp = where.pop("mpp", 0.9)
    row_um, col_um = (50 * math.sqrt(3), 50) if platform == "visium" else (200, 200)
    xy = place(array, mpp=mpp, row_um=row_um, col_um=col_um, **where)
    genes = [f"Gene{i}" for i in range(25)] if genes is None else list(genes)
    return FakeSection(
        array=array,
        xy=xy,
        counts=rng.poisson(2.0, (len(array), len(genes))),
        genes=genes,
        in_tissue=rng.random(len(array)) < 0.9,
        slide=white_slide(xy),
        scalefactors={"spot_diameter_fullres": 65 / mpp},
    )


def write_h5(
    path: Path, counts: np.ndarray, genes: Sequence[str], barcodes: Sequence[str], protein: bool = True
) -> None:
    """Write a 10x HDF5 matrix; with a feature that is no gene, as antibody panels have."""
    names = [*genes, "CD3"] if protein else list(genes)
    types = ["Gene Expression"] * len(genes) + ["Antibody Capture"] * protein
    full = np.concatenate([counts, np.full((len(counts), 1), 7)], axis=1) if protein else counts
    matrix = sparse.csr_array(full)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        options = {"chunks": True, "compression": "gzip"}
        group.create_dataset("barcodes", data=np.array(barcodes, dtype="S"))
        group.create_dataset("data", data=matrix.data.astype(np.int32), **options)
        group.create_dataset("indices", data=matrix.indices.astype(np.int64), **options)
        group.create_dataset("indptr", data=matrix.indptr.astype(np.int64))
        group.create_dataset("shape", data=np.array(full.T.shape, dtype=np.int32))
        features = group.create_group("features")
        features.create_dataset("id", data=np.array([f"ENS{i:05d}" for i in range(len(names))], dtype="S"))
        features.create_dataset("name", data=np.array(names, dtype="S"))
        features.create_dataset("feature_type", data=np.array(types, dtype="S"))


def write_section(
    folder: Path,
    section: FakeSection,
    *,
    layout: str = "visium-2",
    image: str = "slide.tif",
    prefix: str = "",
    seed: int = 5,
) -> Path:
    """Write a section as Space Ranger would, its matrix in another order than its positions; returns the slide."""
    rng = np.random.default_rng(seed)
    root = folder / "binned_outputs" / "square_002um" if layout == "hd" else folder
    (root / "spatial").mkdir(parents=True)
    order = rng.permutation(np.flatnonzero(section.in_tissue))
    barcodes = [section.barcodes[i] for i in order]
    write_h5(root / f"{prefix}filtered_feature_bc_matrix.h5", section.counts[order], section.genes, barcodes)
    table = pd.DataFrame(
        {
            "barcode": section.barcodes,
            "in_tissue": section.in_tissue.astype(int),
            "array_row": section.array[:, 0],
            "array_col": section.array[:, 1],
            "pxl_row_in_fullres": section.xy[:, 1],
            "pxl_col_in_fullres": section.xy[:, 0],
        }
    )
    spatial = root / "spatial"
    if layout == "hd":
        table.to_parquet(spatial / f"{prefix}tissue_positions.parquet")
    else:
        names = {
            "visium-1": "tissue_positions_list.csv",
            "visium-2": "tissue_positions.csv",
            "list-with-header": "tissue_positions_list.csv",
        }
        table.to_csv(spatial / f"{prefix}{names[layout]}", index=False, header=layout != "visium-1")
    (spatial / f"{prefix}scalefactors_json.json").write_text(json.dumps(section.scalefactors))
    return write_slide(folder / image, section.slide)


def write_slide(path: Path, image: np.ndarray) -> Path:
    """Write a slide in the format its name says."""
    if path.suffix == ".jpg":
        path.write_bytes(imagecodecs.jpeg_encode(image, level=95))
    elif path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(image))
    elif path.name.endswith(".ome.tif"):
        tifffile.imwrite(path, image, ome=True, tile=(128, 128), photometric="rgb", metadata={"axes": "YXS"})
    elif path.suffix == ".btf":
        tifffile.imwrite(path, image, bigtiff=True, tile=(128, 128), photometric="rgb", compression="jpeg")
    elif path.suffix == ".svs":  # a pyramid of tiles, as Aperio writes it: levels as pages of their own
        with tifffile.TiffWriter(path) as tiff:
            for level in (image, image[::4, ::4]):
                tiff.write(level, tile=(128, 128), photometric="rgb", description="Aperio Fake", metadata=None)
    else:
        tifffile.imwrite(path, image, tile=(128, 128), photometric="rgb", compression="zlib")
    return path


def write_study(
    folder: Path,
    samples: Sequence[Mapping[str, Any]],
    *,
    view: str = "",
    patch: str = 'stain = "none"',
    study: str = "",
) -> Path:
    """Write a manifest of samples in `folder`."""
    lines = ["[study]", 'name = "fake"', study, "[view]", view, "[patch]", patch]
    for sample in samples:
        lines.append("[[sample]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in sample.items()]
    path = folder / "study.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(kw_only=True)
class StudyMaker:
    """Writes fake sections and their manifest into one folder."""

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        section: FakeSection,
        sample: str = "one",
        *,
        platform: str | None = None,
        split: str = "train",
        layout: str | None = None,
        image: str = "slide.tif",
        prefix: str = "",
        **settings: Any,
    ) -> Path:
        """Write a section; returns its folder."""
        layout = layout or ("hd" if platform == "visium-hd" else "visium-2")
        folder = self.folder / sample
        write_section(folder, section, layout=layout, image=image, prefix=prefix)
        entry = {"id": sample, "spaceranger": sample, "image": f"{sample}/{image}", "split": split, **settings}
        self.entries.append(entry if platform is None else entry | {"platform": platform})
        return folder

    def manifest(self, **sections: str) -> Path:
        return write_study(self.folder, self.entries, **sections)


@pytest.fixture
def maker(tmp_path: Path) -> StudyMaker:
    folder = tmp_path / "study"
    folder.mkdir()
    return StudyMaker(folder=folder)


@pytest.fixture(scope="session")
def make_study() -> Callable[[Path], StudyMaker]:
    """Writes fake sections into a folder that exists."""
    return lambda folder: StudyMaker(folder=folder)


@pytest.fixture(scope="session")
def make_hd() -> Callable[..., FakeSection]:
    return hd_section


@pytest.fixture(scope="session")
def make_spots() -> Callable[..., FakeSection]:
    return spot_section


@pytest.fixture(scope="session")
def save_slide() -> Callable[[Path, np.ndarray], Path]:
    return write_slide


@pytest.fixture(scope="session")
def save_h5() -> Callable[..., None]:
    return write_h5


@pytest.fixture(scope="session")
def stained_image() -> np.ndarray:
    """Two stains in known proportions, with glass around them."""
    rng = np.random.default_rng(3)
    stains = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
    amount = rng.gamma(2.0, 0.35, (2, 160, 200))
    amount[:, :, :40] = 0
    density = np.tensordot(stains, amount, axes=1)
    return np.clip(240 * np.exp(-density), 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()


@pytest.fixture(scope="session")
def unpack_counts() -> Callable[[BinCounts], sparse.csr_array]:
    """What a section's counts are, as scipy's."""
    return lambda counts: sparse.csr_array(
        (counts.counts.astype(np.int32), counts.genes.astype(np.int32), counts.indptr), shape=counts.shape
    )
