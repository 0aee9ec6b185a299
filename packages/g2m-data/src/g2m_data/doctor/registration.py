"""Whether the molecules lie where the tissue is: the shift that makes library size and darkness agree best.

Both are laid on one raster in slide coordinates: the logarithm of the library size at every position of the array, and
the slide's optical density. The agreement is their correlation over the array's positions, for all shifts at once by
FFT. It is summed by blocks, so that resampling these says how sure the shift is.

What molecules lie off the tissue is known from a raw matrix only. Without one they count as none, and the outline of
the tissue, which Space Ranger found on the slide itself, holds the shift back where molecules alone are displaced.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from g2m_data.doctor.placement import lay_out
from g2m_data.doctor.report import Check, Verdict
from g2m_data.doctor.specimen import SlideView, Specimen
from g2m_data.lattice import Lattice
from g2m_data.scale import Scale

HD_CELL_UM, SPOT_CELL_UM = 4.0, 5.0
"""Width of the raster's cells."""
HD_REACH_UM, SPOT_REACH_UM = 80.0, 150.0
"""Furthest shift along x or y that is tried."""
HD_LIMIT_UM, SPOT_LIMIT_UM = 4.0, 20.0
"""Shift that is worth a warning; spots of 55 µm on 100 µm do not tell a smaller one."""
BLOCKS = 6
"""Blocks along each side of the array."""
RESAMPLES = 200
LEAST_BLOCKS = 6
MARGIN_UM = 200.0
"""How far beyond the tissue's bounding box positions without tissue take part, if the array goes on there."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How the spots would have to move to lie best on the tissue."""

    shift_um: tuple[float, float]
    """(x, y): what to add to the spots' positions."""
    uncertainty_um: float
    """95 % of the blocks' resamples lie within this of the shift; infinite where there are too few blocks."""
    agreement: float
    """Correlation at that shift."""
    agreement_unmoved: float
    at_edge: bool
    """Whether the best shift is the largest that was tried, so that the true one may lie beyond."""
    surface: NDArray[np.float64]
    """(2 reach + 1, 2 reach + 1) correlation at each shift, y by x, `cell_um` apart, no shift in the middle."""
    cell_um: float

    @property
    def distance_um(self) -> float:
        """Length of the shift."""
        return float(np.hypot(*self.shift_um))


def check_registration(specimen: Specimen, scale: Scale, registration: Registration | None) -> Check:
    """Warn of a shift that is longer than the platform's limit and than its own uncertainty."""
    if registration is None:
        message = "cannot be told: too few spots, or all alike; look at the overlay picture"
        return Check(name="registration", verdict="ok", message=message)
    limit = HD_LIMIT_UM if specimen.is_hd else SPOT_LIMIT_UM
    reach = HD_REACH_UM if specimen.is_hd else SPOT_REACH_UM
    (dx, dy), distance, unsure = registration.shift_um, registration.distance_um, registration.uncertainty_um
    verdict: Verdict = "ok"
    if not unsure < reach:
        message = "cannot be told: different parts of the section ask for different shifts; look at the overlay picture"
    elif distance > max(limit, unsure):
        verdict = "warning"
        beyond = "at least " if registration.at_edge else ""
        message = (
            f"library size and tissue agree best if the spots move by {beyond}({dx:+.1f}, {dy:+.1f}) µm in (x, y), "
            f"±{unsure:.1f}: is the slide the one Space Ranger was run with, uncropped? Look at the overlay picture"
        )
    else:
        message = (
            f"library size and tissue agree best at a shift of ({dx:+.1f}, {dy:+.1f}) ±{unsure:.1f} µm "
            f"(more than {max(limit, unsure):.0f} µm would be warned about)"
        )
    return Check(
        name="registration",
        verdict=verdict,
        message=message,
        numbers={
            "shift_x_um": dx,
            "shift_y_um": dy,
            "distance_um": distance,
            "uncertainty_um": unsure if np.isfinite(unsure) else None,
            "limit_um": limit,
            "counts_off_tissue": specimen.surroundings is not None,
            "agreement": registration.agreement,
            "agreement_unmoved": registration.agreement_unmoved,
            "agreement_elsewhere": float(np.median(registration.surface)),
        },
    )


def register(specimen: Specimen, scale: Scale, slide: SlideView, seed: int = 0) -> Registration | None:
    """Estimate by how much the spots are displaced from the tissue; None where nothing can be said.

    Parameters
    ----------
    seed
        Of the blocks' resampling.
    """
    if specimen.lattice is None:
        return None
    cell = HD_CELL_UM if specimen.is_hd else SPOT_CELL_UM
    if specimen.is_hd:  # no finer than the bins
        cell = max(cell, specimen.lattice.pitch_px * scale.mpp)
    reach = round((HD_REACH_UM if specimen.is_hd else SPOT_REACH_UM) / cell)
    darkness = _darkness(slide, scale.mpp, cell, None if specimen.is_hd else scale.spot_um)
    xy, value = _signal(specimen, specimen.lattice, scale)
    # the raster's cells divide the overview exactly, so they are `cell` wide only nearly
    per_pixel = np.array(darkness.shape[::-1]) / np.array(slide.overview.shape[1::-1]) * slide.overview_scale
    mean, known = _raster((xy + 0.5) * per_pixel, value, darkness.shape)
    sums = _correlate_blocks(mean, known, darkness, reach)
    if not len(sums):  # no position lies on the slide
        return None
    agreement = _agreement(sums.sum(axis=0))
    if not np.isfinite(agreement).all():
        return None
    shift, at_edge = _peak(agreement)
    unsure = np.inf
    if len(sums) >= LEAST_BLOCKS:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
        shifts = [_peak(_agreement(np.tensordot(times, sums, axes=1)))[0] for times in drawn]
        unsure = float(np.percentile(np.linalg.norm(np.array(shifts) - shift, axis=1), 95)) * cell
    return Registration(
        shift_um=(float(shift[0] * cell), float(shift[1] * cell)),
        uncertainty_um=unsure,
        agreement=float(agreement.max()),
        agreement_unmoved=float(agreement[reach, reach]),
        at_edge=at_edge,
        surface=agreement,
        cell_um=cell,
    )


def _darkness(slide: SlideView, mpp: float, cell_um: float, spot_um: float | None) -> NDArray[np.float32]:
    """Mean optical density of the slide on the raster, averaged over a spot where there are spots; glass is 0."""
    per_pixel = mpp / slide.overview_scale / cell_um
    height, width = (max(1, round(side * per_pixel)) for side in slide.overview.shape[:2])
    shrinks = slide.overview.shape[0] >= height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(slide.overview, (width, height), interpolation=method).astype(np.float32)
    density = np.log(241 / (small + 1)).clip(0).mean(axis=2)
    if spot_um is None:
        return np.asarray(density, dtype=np.float32)
    radius = spot_um / 2 / cell_um
    step = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    disc = (np.hypot(step[:, None], step) <= radius).astype(np.float32)
    return np.asarray(cv2.filter2D(density, -1, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT), dtype=np.float32)


def _signal(specimen: Specimen, lattice: Lattice, scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (full-resolution pixels) and log library sizes, around and between the tissue as well.

    What lies there is zero unless it is known.
    """
    if specimen.surroundings is not None:
        near = np.abs(specimen.surroundings.xy - (specimen.xy.min(axis=0) + specimen.xy.max(axis=0)) / 2)
        kept = (near <= np.ptp(specimen.xy, axis=0) / 2 + MARGIN_UM / scale.mpp).all(axis=1)
        library = np.concatenate([specimen.library, specimen.surroundings.library[kept]])
        return np.concatenate([specimen.xy, specimen.surroundings.xy[kept]]), np.log1p(library)
    margin = np.ceil(MARGIN_UM / scale.mpp / np.array([np.hypot(*lattice.per_row), np.hypot(*lattice.per_col)]))
    low, high = specimen.array.min(axis=0), specimen.array.max(axis=0)
    if specimen.frame is not None:
        low = np.maximum(low - margin, specimen.frame[0]).astype(int)
        high = np.minimum(high + margin, specimen.frame[1]).astype(int)
    empty = np.ones(high - low + 1, dtype=bool)
    empty[tuple((specimen.array - low).T)] = False
    row, col = np.nonzero(empty)
    row, col = row + low[0], col + low[1]
    if lattice.is_visium:
        row, col = row[(row + col) % 2 == 0], col[(row + col) % 2 == 0]
    without = lay_out(lattice, row, col)
    return np.concatenate([specimen.xy, without]), np.concatenate([np.log1p(specimen.library), np.zeros(len(row))])


def _raster(
    at: NDArray[np.float64], value: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean value in each cell of the raster, and which cells have any."""
    column, row = np.floor(at).astype(np.int64).T
    inside = (row >= 0) & (column >= 0) & (row < shape[0]) & (column < shape[1])
    place = row[inside] * shape[1] + column[inside]
    count = np.bincount(place, minlength=shape[0] * shape[1])
    total = np.bincount(place, weights=value[inside], minlength=shape[0] * shape[1])
    return (total / np.maximum(count, 1)).reshape(shape), (count > 0).reshape(shape)


def _correlate_blocks(
    value: NDArray[np.float64], known: NDArray[np.bool_], darkness: NDArray[np.float32], reach: int
) -> NDArray[np.float64]:
    """Sums that a correlation needs, for each block and shift: (block, 6, shift y, shift x).

    They are: positions, value, value², darkness, darkness², value x darkness; over the block's positions.
    """
    rows, columns = np.nonzero(known)
    if not len(rows):
        return np.zeros((0, 6, 2 * reach + 1, 2 * reach + 1))
    padded = np.pad(darkness.astype(np.float64), reach)
    row_edges = np.linspace(rows.min(), rows.max() + 1, BLOCKS + 1).astype(int)
    column_edges = np.linspace(columns.min(), columns.max() + 1, BLOCKS + 1).astype(int)
    blocks = []
    for top, bottom in pairwise(row_edges):
        for left, right in pairwise(column_edges):
            mask = known[top:bottom, left:right].astype(np.float64)
            if not mask.any():
                continue
            here = value[top:bottom, left:right] * mask
            dark = padded[top : bottom + 2 * reach, left : right + 2 * reach]
            size = [next_fast_len(side, real=True) for side in dark.shape]
            dark_f, dark2_f = rfft2(dark, size), rfft2(dark**2, size)
            mask_f, here_f = np.conj(rfft2(mask, size)), np.conj(rfft2(here, size))
            moved = [irfft2(a * b, size) for a, b in ((mask_f, dark_f), (mask_f, dark2_f), (here_f, dark_f))]
            fixed = [np.full((2 * reach + 1,) * 2, total) for total in (mask.sum(), here.sum(), (here**2).sum())]
            blocks.append(np.stack(fixed + [sums[: 2 * reach + 1, : 2 * reach + 1] for sums in moved]))
    return np.stack(blocks)


def _agreement(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation from the sums; not-a-number where either is constant."""
    n, value, value2, dark, dark2, both = sums
    variance = (value2 - value**2 / n) * (dark2 - dark**2 / n)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 1e-9 * n, (both - value * dark / n) / np.sqrt(variance), np.nan)


def _peak(agreement: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """(x, y) of the highest agreement, in cells and between them by a parabola; whether it is at the edge."""
    reach = agreement.shape[0] // 2
    row, column = np.unravel_index(np.nanargmax(agreement), agreement.shape)
    at_edge = bool(max(abs(row - reach), abs(column - reach)) == reach)
    x, y = float(column - reach), float(row - reach)
    if not at_edge:
        x += _vertex(*agreement[row, column - 1 : column + 2])
        y += _vertex(*agreement[row - 1 : row + 2, column])
    return np.array([x, y]), at_edge


def _vertex(before: float, at: float, after: float) -> float:
    curvature = before - 2 * at + after
    return 0.0 if not curvature < 0 else (before - after) / (2 * curvature)
