"""The array's lattice on the slide: pitch, rotation and flips, from an affine fit."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2m_data.units import SlidePixels

VISIUM_ASPECT = math.sqrt(3)
"""Visium: rows 86.6 µm apart, columns 50 µm per index."""


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """An affine map from (array row, array column) to full-resolution pixels."""

    origin: tuple[float, float]
    """(x, y) of array row 0, column 0."""
    per_row: tuple[float, float]
    """(x, y) step from one array row to the next."""
    per_col: tuple[float, float]
    """(x, y) step from one array column to the next."""
    residual_px: float
    """Root mean square distance of the spots from the lattice, outliers left out."""
    outliers: int
    """Spots further than that allows."""
    is_visium: bool
    """Whether this is Visium's hexagonal lattice: row + column always even, rows √3 times as far apart as columns."""

    @property
    def pitch_px(self) -> SlidePixels:
        """Distance between neighbouring spots' centres, full-resolution pixels."""
        area = abs(self.per_col[0] * self.per_row[1] - self.per_col[1] * self.per_row[0])
        return SlidePixels(math.sqrt(area * 4 / math.sqrt(3)) if self.is_visium else math.sqrt(area))

    @property
    def flip_rows(self) -> bool:
        """Whether array rows run up the slide."""
        return self.per_row[1] < 0

    @property
    def flip_cols(self) -> bool:
        """Whether array columns run leftwards on the slide."""
        return self.per_col[0] < 0

    @property
    def rotation_deg(self) -> float:
        """Angle from the slide's x axis to the array's columns, after undoing a flip, -90 to 90 (clockwise as seen)."""
        sign = -1 if self.flip_cols else 1
        return math.degrees(math.atan2(sign * self.per_col[1], sign * self.per_col[0]))

    @property
    def aspect(self) -> float:
        """Distance between rows over distance between columns."""
        return math.hypot(*self.per_row) / math.hypot(*self.per_col)


def fit_lattice(array: NDArray[np.integer], xy: NDArray[np.float64]) -> Lattice | None:
    """Fit the lattice robustly.

    Least absolute distances first (iteratively reweighted), then least squares on the inliers, because a few misplaced
    spots must not tilt a scale. A median nearest-neighbour distance would be biased by jitter instead.

    Parameters
    ----------
    array
        (n, 2) array row and column.
    xy
        (n, 2) centres in full-resolution pixels.

    Returns
    -------
    The lattice, or None where fewer than four spots, or spots on one line, do not determine it.
    """
    step = max(1, len(array) // 200_000)
    index, target = np.asarray(array[::step], dtype=np.float64), np.asarray(xy[::step], dtype=np.float64)
    centre = index.mean(axis=0)
    design = np.column_stack([index - centre, np.ones(len(index))])
    if len(index) < 4 or np.linalg.matrix_rank(design) < 3:
        return None

    weight = np.ones(len(index))
    for _ in range(20):
        weighted = design * weight[:, None]  # centred, so that the normal equations lose nothing and take a tenth
        solution = np.linalg.solve(weighted.T @ design, weighted.T @ target)
        distance = np.linalg.norm(design @ solution - target, axis=1)
        weight = 1 / np.maximum(distance, 1e-3)
    pitch = math.sqrt(abs(np.linalg.det(solution[:2])))
    inlier = distance <= max(5 * float(np.median(distance)), 0.02 * pitch)
    solution = np.linalg.lstsq(design[inlier], target[inlier], rcond=None)[0]
    distance = np.linalg.norm(design @ solution - target, axis=1)
    if abs(np.linalg.det(solution[:2])) < 1e-9:
        return None

    per_row, per_col = solution[0], solution[1]
    origin = solution[2] - centre @ solution[:2]
    aspect = np.linalg.norm(per_row) / np.linalg.norm(per_col)
    even = bool(((np.asarray(array).sum(axis=1) % 2) == 0).all())
    return Lattice(
        origin=(float(origin[0]), float(origin[1])),
        per_row=(float(per_row[0]), float(per_row[1])),
        per_col=(float(per_col[0]), float(per_col[1])),
        residual_px=float(np.sqrt(np.mean(distance[inlier] ** 2))),
        outliers=int((~inlier).sum()) * step,
        is_visium=even and bool(abs(aspect / VISIUM_ASPECT - 1) < 0.15),
    )
