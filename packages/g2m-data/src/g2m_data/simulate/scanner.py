"""The scanner's TIFF, and the thumbnails that Space Ranger makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from g2m_data.progress import Track, silent
from g2m_data.simulate.config import SectionPlan
from g2m_data.simulate.counts import BIN_UM
from g2m_data.simulate.staining import TILE_PX, Painter, develop

Image = npt.NDArray[np.uint8]
TIFF_TILE_PX, THUMBNAIL_STEP = 512, 4
HIRES_PX, LOWRES_PX = 2000, 600


def write_slide(path: Path, painter: Painter, plan: SectionPlan, track: Track = silent) -> Image:
    """Paint the section into a tiled JPEG TIFF (BigTIFF when named .btf), by strips; returns a quarter-size copy."""
    width, height = (round(side / plan.mpp) for side in painter.anatomy.size_um)
    quarter: list[Image] = []

    def strips() -> Iterator[Image]:
        starts = range(0, height, TILE_PX)
        for y in track(starts, description=f"Painting {plan.id}", total=len(starts)):
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


def write_thumbnails(spatial: Path, quarter: Image, plan: SectionPlan) -> dict[str, float]:
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
