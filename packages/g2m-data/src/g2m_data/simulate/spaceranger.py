"""Write what Space Ranger writes: 10x HDF5 matrices, positions, scale factors, thumbnails; and the scanner's TIFF."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from g2m_data.simulate.config import SectionPlan
from g2m_data.simulate.counts import BIN_UM, Molecules
from g2m_data.simulate.staining import TILE_PX, Painter, develop

Image = npt.NDArray[np.uint8]
TIFF_TILE_PX, THUMBNAIL_STEP = 512, 4
HIRES_PX, LOWRES_PX = 2000, 600


def write_slide(path: Path, painter: Painter, plan: SectionPlan) -> Image:
    """Paint the section into a tiled JPEG TIFF (BigTIFF when named .btf), by strips; returns a quarter-size copy."""
    width, height = (round(side / plan.mpp) for side in painter.anatomy.size_um)
    quarter: list[Image] = []

    def strips() -> Iterator[Image]:
        for y in range(0, height, TILE_PX):
            rows = min(TILE_PX, height - y)
            strip = np.empty((rows, width, 3), np.uint8)
            for x in range(0, width, TILE_PX):
                columns = min(TILE_PX, width - x)
                layers = painter.concentrations(x, y, columns, rows)
                strip[:, x : x + columns] = develop(layers, plan, painter.grain.sensor)
            small = (max(1, width // THUMBNAIL_STEP), max(1, rows // THUMBNAIL_STEP))
            quarter.append(np.asarray(cv2.resize(strip, small, interpolation=cv2.INTER_AREA), np.uint8))
            yield strip

    def tiles() -> Iterator[Image]:
        for strip in strips():
            for y in range(0, len(strip), TIFF_TILE_PX):
                for x in range(0, width, TIFF_TILE_PX):
                    tile = strip[y : y + TIFF_TILE_PX, x : x + TIFF_TILE_PX]
                    missing = TIFF_TILE_PX - tile.shape[0], TIFF_TILE_PX - tile.shape[1]
                    yield np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")

    with tifffile.TiffWriter(path, bigtiff=path.suffix == ".btf") as tiff:
        tiff.write(
            tiles(),
            shape=(height, width, 3),
            dtype=np.uint8,
            tile=(TIFF_TILE_PX, TIFF_TILE_PX),
            photometric="rgb",
            compression="jpeg",
            compressionargs={"level": 90},
            resolution=(1e4 / plan.mpp, 1e4 / plan.mpp),
            resolutionunit="CENTIMETER",
            software="g2m-data phantom",
            maxworkers=1,
            metadata=None,
        )
    return np.concatenate(quarter)


def write_outs(
    outs: Path, plan: SectionPlan, molecules: Molecules, genes: list[str], quarter: Image, rng: np.random.Generator
) -> None:
    """Write one `outs` folder in the plan's layout."""
    home = outs / "binned_outputs" / "square_002um" if plan.layout == "hd" else outs
    (home / "spatial").mkdir(parents=True)
    barcodes = _bin_barcodes(molecules) if plan.layout == "hd" else _spot_barcodes(len(molecules.array_row), rng)
    write_matrix(home / "filtered_feature_bc_matrix.h5", molecules, barcodes, genes, plan)
    write_positions(home / "spatial", plan, molecules, barcodes)
    scale = _write_thumbnails(home / "spatial", quarter, plan)
    (home / "spatial" / "scalefactors_json.json").write_text(json.dumps(scale))


def write_matrix(path: Path, molecules: Molecules, barcodes: list[str], genes: list[str], plan: SectionPlan) -> None:
    """Write the 10x HDF5 matrix: features x barcodes, compressed by columns."""
    matrix = molecules.counts
    options = {"compression": "gzip", "compression_opts": 1}
    kept = np.array(barcodes, dtype="S")[molecules.in_tissue]
    with h5py.File(path, "w") as file:
        file.attrs["chemistry_desc"] = "Visium HD" if plan.layout == "hd" else "Visium V1"
        file.attrs["filetype"] = "matrix"
        file.attrs["library_ids"] = np.array([plan.id], dtype="S")
        file.attrs["original_gem_groups"] = np.array([1])
        file.attrs["version"] = 2
        group = file.create_group("matrix")
        group.create_dataset("barcodes", data=kept, **options)
        group.create_dataset("data", data=matrix.data.astype(np.int32), **options)
        group.create_dataset("indices", data=matrix.indices.astype(np.int64), **options)
        group.create_dataset("indptr", data=matrix.indptr.astype(np.int64), **options)
        group.create_dataset("shape", data=np.array(matrix.shape[::-1], np.int32))
        features = group.create_group("features")
        # numbers from 9e10 up are not given out by Ensembl: an invented gene model never passes for a real one
        ids = [f"ENSMUSG{90_000_000_000 + i}" for i in np.argsort(np.argsort(genes))]
        features.create_dataset("_all_tag_keys", data=np.array(["genome"], dtype="S"))
        features.create_dataset("id", data=np.array(ids, dtype="S"), **options)
        features.create_dataset("name", data=np.array(genes, dtype="S"), **options)
        features.create_dataset("feature_type", data=np.array(["Gene Expression"] * len(genes), dtype="S"), **options)
        features.create_dataset("genome", data=np.array(["phantom"] * len(genes), dtype="S"), **options)


def write_positions(spatial: Path, plan: SectionPlan, molecules: Molecules, barcodes: list[str]) -> None:
    """Write positions: parquet (HD), CSV with a header (Space Ranger 2) or without one (Space Ranger 1)."""
    xy = molecules.xy_um / plan.mpp
    table = pd.DataFrame(
        {
            "barcode": barcodes,
            "in_tissue": molecules.in_tissue.astype(np.int64),
            "array_row": molecules.array_row,
            "array_col": molecules.array_col,
            "pxl_row_in_fullres": xy[:, 1],
            "pxl_col_in_fullres": xy[:, 0],
        }
    )
    if plan.layout == "hd":
        table.to_parquet(spatial / "tissue_positions.parquet", index=False)
        return
    table[["pxl_row_in_fullres", "pxl_col_in_fullres"]] = xy[:, ::-1].round().astype(np.int64)
    headed = plan.layout == "spaceranger2"
    name = "tissue_positions.csv" if headed else "tissue_positions_list.csv"
    table.to_csv(spatial / name, index=False, header=headed, lineterminator="\n")


def _write_thumbnails(spatial: Path, quarter: Image, plan: SectionPlan) -> dict[str, float]:
    """Write the two PNGs (and Visium's grey overlays, which are no H&E) and give the scale factors."""
    full = max(quarter.shape) * THUMBNAIL_STEP
    scales = {}
    for name, longest in (("hires", HIRES_PX), ("lowres", LOWRES_PX)):
        scale = min(longest / full, 1 / THUMBNAIL_STEP)
        size = [max(1, round(side * scale * THUMBNAIL_STEP)) for side in quarter.shape[1::-1]]
        small = cv2.resize(quarter, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(spatial / f"tissue_{name}_image.png"), small[..., ::-1])
        scales[f"tissue_{name}_scalef"] = scale
    if plan.layout == "hd":
        return {
            "spot_diameter_fullres": BIN_UM / plan.mpp,
            "bin_size_um": BIN_UM,
            "microns_per_pixel": plan.mpp,
            "regist_target_img_scalef": scales["tissue_hires_scalef"],
            "fiducial_diameter_fullres": 1050.0 / plan.mpp,
            **scales,
        }
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2BGR)
    for name in ("aligned_fiducials.jpg", "detected_tissue_image.jpg"):
        cv2.imwrite(str(spatial / name), grey)
    # what Space Ranger calls the spot's diameter is no 55 um ruler: 65 um in version 1, 70 um later
    diameter_um = 65.0 if plan.layout == "spaceranger1" else 70.0
    return {
        "spot_diameter_fullres": diameter_um / plan.mpp,
        "fiducial_diameter_fullres": 105.0 / plan.mpp,
        **scales,
    }


def _bin_barcodes(molecules: Molecules) -> list[str]:
    pairs = zip(molecules.array_row.tolist(), molecules.array_col.tolist(), strict=True)
    return [f"s_002um_{row:05d}_{column:05d}-1" for row, column in pairs]


def _spot_barcodes(count: int, rng: np.random.Generator) -> list[str]:
    letters = np.array(list("ACGT"))[rng.integers(0, 4, (2 * count, 16))]
    unique = list(dict.fromkeys("".join(word) for word in letters))
    return [f"{word}-1" for word in unique[:count]]
