"""How big a simulated study came out."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import h5py
import tifffile


@dataclass(frozen=True)
class SectionSize:
    """One section of a study on disk."""

    id: str
    positions: int
    """Bins or spots in tissue."""
    genes: int
    nonzeros: int
    slide_px: tuple[int, int]
    """Width and height."""
    bytes: int
    """Of the Space Ranger folder and the slide."""

    def __str__(self) -> str:
        width, height = self.slide_px
        return (
            f"{self.id}: {self.positions:,} positions in tissue x {self.genes:,} genes, {self.nonzeros:,} non-zeros; "
            f"slide of {width:,} x {height:,} px; {self.bytes / 1e9:.2f} GB"
        )


def measure_study(manifest: Path) -> list[SectionSize]:
    """Read the sizes of a simulated study's sections from its files.

    Parameters
    ----------
    manifest
        `study.toml`, as `simulate_study` returns it.
    """
    sizes = []
    for sample in tomllib.loads(manifest.read_text())["sample"]:
        slide, outs = (manifest.parent / sample[name] for name in ("image", "spaceranger"))
        with h5py.File(next(outs.rglob("filtered_feature_bc_matrix.h5"))) as file:
            genes, positions = (int(size) for size in file["matrix/shape"][:])
            nonzeros = len(file["matrix/data"])
        with tifffile.TiffFile(slide) as tiff:
            height, width = tiff.pages.first.shape[:2]
        taken = sum(path.stat().st_size for path in (slide, *outs.rglob("*")) if path.is_file())
        sizes.append(SectionSize(sample["id"], positions, genes, nonzeros, (width, height), taken))
    return sizes
