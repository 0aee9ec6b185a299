"""Macenko over a whole slide, ours and torchstain's numpy version tile by tile, on the same resampled pixels."""

from __future__ import annotations

import statistics
import time
import warnings
from pathlib import Path

TILE = 1024
TILES = 24


def resample(study: str, sample: str, patch_um: float, mpp: float, patch_px: int, folder: str) -> dict[str, float]:
    """Write the slide as it is before it is normalised."""
    import numpy as np

    from g2m_data.manifest import read_manifest
    from g2m_data.resample import Resampling, resample_slide
    from g2m_data.slide import open_slide

    image = next(entry.image for entry in read_manifest(Path(study)).samples if entry.id == sample)
    slide = open_slide(image)
    plan = Resampling.plan(slide.height, slide.width, mpp, patch_um, patch_px)
    shape = (plan.height, plan.width, 3)
    pixels = np.lib.format.open_memmap(Path(folder) / "slide.npy", mode="w+", dtype=np.uint8, shape=shape)
    resample_slide(slide, plan, pixels)
    pixels.flush()
    return {}


def ours(folder: str) -> dict[str, float]:
    """Estimate and normalise the whole slide in memory, and keep the tiles that are to be compared."""
    import numpy as np

    from g2m_data.resample import normalise_slide
    from g2m_data.stain import normalise_stain

    pixels = np.load(Path(folder) / "slide.npy")
    tiles = _tiles(pixels)
    began = time.perf_counter()
    stain = normalise_slide(pixels)
    seconds = time.perf_counter() - began
    found = np.stack([pixels[top : top + TILE, left : left + TILE] for top, left in tiles])
    np.savez(Path(folder) / "ours.npz", tiles=found, stains=stain.stains, concentration=stain.concentration)
    blank = normalise_stain(np.full((TILE, TILE, 3), 245, np.uint8), stain)
    return {"s": seconds, "pixels": pixels.shape[0] * pixels.shape[1], "blank": int(blank.min())}


def reference(folder: str) -> dict[str, float]:
    """Torchstain on the same tiles: as it is, with an estimate of its own for each, and with ours handed to it."""
    import numpy as np
    from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer

    pixels = np.load(Path(folder) / "slide.npy", mmap_mode="r")
    kept = np.load(Path(folder) / "ours.npz")
    stains, concentration = kept["stains"], kept["concentration"]

    class Given(NumpyMacenkoNormalizer):
        """Torchstain's own arithmetic with an estimate that is given."""

        def _given(self, image, Io, alpha, beta):  # type: ignore[no-untyped-def]
            density, _ = self._NumpyMacenkoNormalizer__convert_rgb2od(image.reshape((-1, 3)), Io=Io, beta=beta)
            return stains, self._NumpyMacenkoNormalizer__find_concentration(density, stains), concentration

        _NumpyMacenkoNormalizer__compute_matrices = _given

    own, given, apart, refused = [], [], 0, 0
    for (top, left), found in zip(_tiles(pixels), kept["tiles"], strict=True):
        tile = np.ascontiguousarray(pixels[top : top + TILE, left : left + TILE])
        began = time.perf_counter()
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                NumpyMacenkoNormalizer().normalize(tile, stains=False)
        except (np.linalg.LinAlgError, IndexError):  # too little tissue to estimate from
            refused += 1
        else:
            own.append(time.perf_counter() - began)
        began = time.perf_counter()
        expected, _, _ = Given().normalize(tile, stains=False)
        given.append(time.perf_counter() - began)
        apart = max(apart, int(np.abs(found.astype(np.int16) - expected).max()))
    return {
        "s_per_pixel": statistics.mean(own) / TILE**2,
        "given_s_per_pixel": statistics.mean(given) / TILE**2,
        "apart": apart,
        "tiles": len(given),
        "refused": refused,
    }


def _tiles(pixels):  # type: ignore[no-untyped-def]
    """Tiles of every darkness, from full of tissue to empty; the same ones each time."""
    import numpy as np

    tops, lefts = (range(0, length - TILE + 1, TILE) for length in pixels.shape[:2])
    places = [(top, left) for top in tops for left in lefts]
    dark = [pixels[top : top + TILE : 16, left : left + TILE : 16].mean() for top, left in places]
    order = np.argsort(dark, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(TILES, len(order))).astype(int)]
    return [places[number] for number in chosen]
