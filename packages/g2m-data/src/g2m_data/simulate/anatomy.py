"""Where everything is: tissue, regions and factors on a raster of 8 um in slide coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from g2m_data.simulate.config import PhantomSettings, SectionPlan

RASTER_UM = 8.0
REGIONS = ("CX", "OSOM", "ISOM", "IM&P", "BAT")
OUTSIDE = 255
# A factor is drawn, and drives its genes, in these regions only; the statistic is what image processing can see of it.
FACTORS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "nuclear_density": (REGIONS, "nuclei_per_mm2", 1),
    "tubule_calibre": (("CX", "OSOM", "ISOM", "IM&P"), "tubule_diameter_um", 1),
    "lumen": (("CX", "OSOM", "ISOM", "IM&P"), "lumen_share", 1),
    "eosin": (REGIONS, "eosin_density", 1),
    "droplet_size": (("BAT",), "lipid_share", 1),
    "collagen": (("IM&P",), "collagen_share", 1),
}

Value = TypeVar("Value", bound=np.generic)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Anatomy:
    """Maps of one section; rasters are (row, column), cell (0, 0) starts at the slide's corner."""

    size_um: tuple[float, float]
    """Width and height of the slide."""
    region: npt.NDArray[np.uint8]
    factors: Floats
    """(factor, row, column), mean 0 and variance 1 over the tissue."""
    level: Floats
    """Signed distance to the tissue's edge in um, positive inside."""
    capsule: Floats
    """Signed distance to the kidney's surface in um, positive inside the kidney."""
    papilla_um: tuple[float, float]
    """Where the medullary rays meet."""
    thickness: Floats
    """Log of the section's relative thickness, a nuisance independent of the region."""
    balance: Floats
    """Log ratio of haematoxylin to eosin, a nuisance independent of the region."""

    def at(self, raster: npt.NDArray[Value], xy_um: npt.NDArray[np.floating]) -> npt.NDArray[Value]:
        """Values of the raster cells that hold the given points, (n, 2) -> (n,)."""
        rows, columns = raster.shape[-2:]
        column = np.clip((xy_um[..., 0] / RASTER_UM).astype(np.int64), 0, columns - 1)
        row = np.clip((xy_um[..., 1] / RASTER_UM).astype(np.int64), 0, rows - 1)
        return raster[..., row, column]

    def level_at(self, xy_um: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Distance to the tissue's edge, interpolated between raster cells."""
        row, column = xy_um[..., 1] / RASTER_UM - 0.5, xy_um[..., 0] / RASTER_UM - 0.5
        values: npt.NDArray[np.float64] = map_coordinates(
            self.level.astype(np.float64), [row, column], order=1, mode="nearest"
        )
        return values


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], sigma_um: float) -> npt.NDArray[np.float64]:
    """Gaussian random field of unit variance with a Gaussian correlation."""
    pad = int(np.ceil(3 * sigma_um / RASTER_UM))
    noise = rng.standard_normal((shape[0] + 2 * pad, shape[1] + 2 * pad))
    field = gaussian_filter(noise, sigma_um / RASTER_UM, mode="wrap")[pad : pad + shape[0], pad : pad + shape[1]]
    # variance of smoothed white noise: 1 / (4 pi sigma^2) in cells
    scaled: npt.NDArray[np.float64] = field * np.sqrt(4 * np.pi) * sigma_um / RASTER_UM
    return scaled


def draw_anatomy(plan: SectionPlan, settings: PhantomSettings, rng: np.random.Generator) -> Anatomy:
    """Lay out one section: a bean of concentric bands, brown fat against its capsule, tears, and the fields."""
    width, height = (side + 2 * settings.margin_um for side in plan.tissue_um)
    shape = (int(np.ceil(height / RASTER_UM)), int(np.ceil(width / RASTER_UM)))
    y, x = ((np.indices(shape) + 0.5) * RASTER_UM).astype(np.float64)
    scale = min(plan.tissue_um) / 2050.0

    centre, axes, fat_centre, fat_axes = _place_kidney_and_fat(plan, settings.margin_um)
    wobble = smooth_field(rng, shape, 160.0 * scale) * 14.0 * scale + smooth_field(rng, shape, 25.0) * 3.0 * scale
    capsule = _ellipse_level(x, y, centre, axes) + wobble
    fat = _ellipse_level(x, y, fat_centre, fat_axes) + wobble[::-1]
    level = np.maximum(capsule, fat)

    papilla = _place_papilla(plan, centre, axes)
    depth = _depth(x - papilla[0], y - papilla[1], papilla, centre, axes)
    depth = depth + smooth_field(rng, shape, 120.0 * scale) * 0.022 + smooth_field(rng, shape, 22.0) * 0.006
    region = np.select([depth < edge for edge in plan.bands], [3, 2, 1], 0).astype(np.uint8)
    region[capsule < 0] = 4
    level = _tear(level, capsule, papilla, plan, settings.holes, scale, (x, y), rng)
    region[level <= 0] = OUTSIDE

    factors = _independent_fields(rng, region != OUTSIDE, settings.smoothness_um)
    return Anatomy(
        size_um=(width, height),
        region=region,
        factors=factors,
        level=level.astype(np.float32),
        capsule=capsule.astype(np.float32),
        papilla_um=papilla,
        thickness=smooth_field(rng, shape, settings.smoothness_um * 0.8).astype(np.float32),
        balance=smooth_field(rng, shape, settings.smoothness_um * 0.8).astype(np.float32),
    )


def _place_kidney_and_fat(
    plan: SectionPlan, margin: float
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Kidney's centre and half axes, fat's centre and half axes, all in slide um."""
    across = plan.fat_side in ("left", "right")
    low = plan.fat_side in ("left", "top")
    along_um, other_um = plan.tissue_um if across else plan.tissue_um[::-1]
    fat_um = plan.fat_share * along_um
    half = (along_um - fat_um) / 2
    middle = fat_um + half if low else half
    fat_middle = fat_um if low else along_um - fat_um

    def place(along: float, other: float, shift: float) -> tuple[float, float]:
        return (along + shift, other + shift) if across else (other + shift, along + shift)

    return (
        place(middle, other_um / 2, margin),
        place(half, other_um / 2, 0.0),
        place(fat_middle + (0.3 * half if low else -0.3 * half), other_um * 0.52, margin),
        place(fat_um + 0.3 * half, other_um * 0.46, 0.0),
    )


def _place_papilla(plan: SectionPlan, centre: tuple[float, float], axes: tuple[float, float]) -> tuple[float, float]:
    """Transverse cuts show rings; coronal ones bands that open towards the hilum, away from the fat."""
    offset = 0.45 if plan.cut == "coronal" else 0.08
    away = {"left": (1, 0), "right": (-1, 0), "top": (0, 1), "bottom": (0, -1)}[plan.fat_side]
    return centre[0] + offset * away[0] * axes[0], centre[1] + offset * away[1] * axes[1]


def _ellipse_level(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], centre: tuple[float, float], axes: tuple[float, float]
) -> npt.NDArray[np.float64]:
    radius = np.hypot((x - centre[0]) / axes[0], (y - centre[1]) / axes[1])
    gradient = np.hypot((x - centre[0]) / axes[0] ** 2, (y - centre[1]) / axes[1] ** 2) / np.maximum(radius, 1e-9)
    level: npt.NDArray[np.float64] = (1 - radius) / np.maximum(gradient, 1 / max(axes))
    return level


def _depth(
    dx: npt.NDArray[np.float64],
    dy: npt.NDArray[np.float64],
    papilla: tuple[float, float],
    centre: tuple[float, float],
    axes: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Share of the way from the papilla to the kidney's outline, along the ray through each point."""
    px, py = (papilla[0] - centre[0]) / axes[0], (papilla[1] - centre[1]) / axes[1]
    ux, uy = dx / axes[0], dy / axes[1]
    a, b, c = ux**2 + uy**2, px * ux + py * uy, px**2 + py**2 - 1
    share: npt.NDArray[np.float64] = np.maximum(a, 1e-12) / (-b + np.sqrt(b**2 - a * c) + 1e-12)
    return share


def _tear(
    level: npt.NDArray[np.float64],
    capsule: npt.NDArray[np.float64],
    papilla: tuple[float, float],
    plan: SectionPlan,
    holes: int,
    scale: float,
    xy: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Cut large vessels and tears out of the tissue."""
    x, y = xy
    inside = np.argwhere(capsule > 120 * scale)
    for _ in range(holes):
        row, column = inside[rng.integers(len(inside))]
        radius, turn = rng.uniform(22, 55) * scale, rng.uniform(0, np.pi)
        dx, dy = x - x[row, column], y - y[row, column]
        u, v = np.cos(turn) * dx + np.sin(turn) * dy, -np.sin(turn) * dx + np.cos(turn) * dy
        level = np.minimum(level, np.hypot(u, v * rng.uniform(1.2, 2.2)) - radius)
    if plan.cut == "coronal":  # the renal pelvis
        level = np.minimum(level, np.hypot(x - papilla[0], y - papilla[1]) - 60 * scale)
    return level


def _independent_fields(rng: np.random.Generator, tissue: npt.NDArray[np.bool_], sigma_um: float) -> Floats:
    """One field a factor, without correlation over the tissue, so that one factor's genes do not predict another."""
    fields = np.stack([smooth_field(rng, (tissue.shape[0], tissue.shape[1]), sigma_um) for _ in FACTORS])
    inside = fields[:, tissue]
    fields = fields - inside.mean(axis=1)[:, None, None]
    values, vectors = np.linalg.eigh(np.cov(inside))
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    independent: Floats = np.einsum("fg,ghw->fhw", whiten, fields).astype(np.float32)
    return independent
