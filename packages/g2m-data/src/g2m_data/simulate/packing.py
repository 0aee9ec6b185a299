"""Pack tubules and cells of different calibre into the tissue, and give each a wobbly outline that fills its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, REGIONS, Anatomy, smooth_field

Kind = Literal["proximal", "straight", "distal", "thick", "thin", "duct", "vessel", "glomerulus", "adipocyte"]
KINDS: tuple[Kind, ...] = (
    "proximal",
    "straight",
    "distal",
    "thick",
    "thin",
    "duct",
    "vessel",
    "glomerulus",
    "adipocyte",
)
# kind -> (radius in um, share of candidates) in each region
MIXTURE: dict[str, dict[Kind, tuple[float, float]]] = {
    "CX": {"proximal": (17.5, 0.85), "distal": (13.0, 0.11), "duct": (14.5, 0.015), "vessel": (8.0, 0.025)},
    "OSOM": {"straight": (20.0, 0.84), "thick": (10.5, 0.14), "vessel": (7.0, 0.02)},
    "ISOM": {"thick": (10.5, 0.5), "thin": (5.0, 0.46), "duct": (14.0, 0.04)},
    "IM&P": {"duct": (15.0, 0.62), "thin": (5.0, 0.38)},
    "BAT": {"adipocyte": (11.5, 0.95), "thin": (4.0, 0.05)},
}
GAP_UM = {"CX": 1.2, "OSOM": 1.4, "ISOM": 2.4, "IM&P": 9.0, "BAT": 0.8}
CALIBRE_PER_SD, COLLAGEN_PER_SD = 0.20, 0.50
# Places are claimed a little too close together, and tubes stretch to meet their neighbours: tissue has no gaps.
OVERLAP, STRETCH = 0.86, {"CX": 1.6, "OSOM": 1.6, "ISOM": 1.5, "IM&P": 1.12, "BAT": 1.6}
DIRECTIONS = 32
_BLOCK_UM = 2.0
_PORTION = 20_000


@dataclass(frozen=True)
class Packing:
    """Everything that has a wall: centres, kinds, outlines."""

    xy_um: npt.NDArray[np.float64]
    kind: npt.NDArray[np.uint8]
    """Index into KINDS."""
    region: npt.NDArray[np.uint8]
    """Index into REGIONS, at the centre."""
    outline_um: npt.NDArray[np.float64]
    """Distance from the centre to the basement membrane, (n, DIRECTIONS)."""
    factors: npt.NDArray[np.float64]
    """Drawn factors at the centre, (n, factor); 0 in regions where a factor is not drawn."""

    def clearance(self, points_um: npt.NDArray[np.float64], neighbours: int = 5) -> npt.NDArray[np.float64]:
        """Distance from each point to the nearest outline, negative inside; (n, 2) -> (n,), in um."""
        distance, index = nearest(self.xy_um, points_um, neighbours)
        offset = points_um[:, None] - self.xy_um[index]
        angle = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi)
        slot = np.rint(angle / (2 * np.pi) * DIRECTIONS).astype(np.int64) % DIRECTIONS
        clear: npt.NDArray[np.float64] = (distance - self.outline_um[index, slot]).min(axis=1)
        return clear


def nearest(
    places: npt.NDArray[np.float64], points: npt.NDArray[np.float64], neighbours: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distances from each point to its nearest places, and their indices; (point, neighbour) both."""
    distance, index = cKDTree(places).query(points, k=neighbours)
    return np.asarray(distance, np.float64), np.asarray(index, np.int64)


def drawn_factors(
    anatomy: Anatomy, xy_um: npt.NDArray[np.float64], region: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Factors at the given points, 0 where a factor is not drawn; limited to 2.5 SD, (n, factor)."""
    values = np.clip(anatomy.at(anatomy.factors, xy_um).T.astype(np.float64), -2.5, 2.5)
    gate = np.zeros((len(FACTORS), OUTSIDE + 1))
    for index, (regions, _, _) in enumerate(FACTORS.values()):
        gate[index, [REGIONS.index(name) for name in regions]] = 1
    return values * gate[:, region].T


def pack_tissue(anatomy: Anatomy, rng: np.random.Generator) -> Packing:
    """Fill the tissue with tubules, ducts, glomeruli, vessels and adipocytes, without overlaps."""
    xy, kind, radius, gap, region, factors = _propose(anatomy, rng)
    kept = _keep_disjoint(xy, radius + gap / 2, anatomy.size_um)
    xy, kind, radius, gap, region, factors = (a[kept] for a in (xy, kind, radius, gap, region, factors))
    reach = np.array([STRETCH[name] for name in REGIONS])[region]
    return Packing(xy, kind, region, _outlines(anatomy, xy, radius, gap, reach, rng), factors)


def _propose(anatomy: Anatomy, rng: np.random.Generator) -> tuple[npt.NDArray, ...]:  # type: ignore[type-arg]
    """Candidates in the order in which they may claim their place."""
    width, height = anatomy.size_um
    xy = rng.uniform((0, 0), (width, height), size=(int(width * height / 26), 2))
    region = anatomy.at(anatomy.region, xy)
    inside = region != OUTSIDE
    xy, region = xy[inside], region[inside].astype(np.uint8)
    factors = drawn_factors(anatomy, xy, region)

    shape = anatomy.region.shape
    bundles = anatomy.at(smooth_field(rng, (shape[0], shape[1]), 32.0), xy)  # vasa recta run in bundles
    kind, radius, gap = np.zeros(len(xy), np.uint8), np.zeros(len(xy)), np.zeros(len(xy))
    choice = rng.random(len(xy))
    for code, name in enumerate(REGIONS):
        here = np.flatnonzero(region == code)
        shares = np.array([share for _, share in MIXTURE[name].values()])
        edges = np.cumsum(shares)[:-1]
        picked = np.searchsorted(edges, choice[here])
        kind[here] = np.array([KINDS.index(k) for k in MIXTURE[name]], np.uint8)[picked]
        radius[here] = np.array([r for r, _ in MIXTURE[name].values()])[picked]
        gap[here] = GAP_UM[name]
        if name == "ISOM":
            bundled = here[bundles[here] > 1.0]
            kind[bundled], radius[bundled] = KINDS.index("thin"), 5.0
    calibre, collagen = (list(FACTORS).index(name) for name in ("tubule_calibre", "collagen"))
    radius *= np.exp(CALIBRE_PER_SD * factors[:, calibre] + 0.07 * rng.standard_normal(len(xy)))
    gap *= np.exp(COLLAGEN_PER_SD * factors[:, collagen])

    glomeruli = np.flatnonzero((region == 0) & (anatomy.at(anatomy.capsule, xy) > 45) & (rng.random(len(xy)) < 0.0016))
    kind[glomeruli], radius[glomeruli] = KINDS.index("glomerulus"), rng.uniform(31, 38, len(glomeruli))
    # Wide things first and capillaries last, else small ones leave no room; otherwise by chance.
    rank = rng.random(len(xy)) + np.where(kind == KINDS.index("thin"), 0.35, 0.0)
    rank[glomeruli] = -1
    order = np.argsort(rank, kind="stable")
    return tuple(a[order] for a in (xy, kind, radius, gap, region, factors))


def _keep_disjoint(
    xy: npt.NDArray[np.float64], radius: npt.NDArray[np.float64], size_um: tuple[float, float]
) -> npt.NDArray[np.int64]:
    """Indices of candidates that overlap none before them, first come, first served."""
    cell = 30.0
    columns = int(size_um[0] / cell) + 1
    taken = np.zeros((int(size_um[1] / _BLOCK_UM) + 2, int(size_um[0] / _BLOCK_UM) + 2), bool)
    grid: dict[int, list[tuple[float, float, float]]] = {}
    kept: list[int] = []
    largest = 0.0
    slack = float(radius.min()) * 0.9
    blocks = (xy[:, ::-1] / _BLOCK_UM).astype(np.int64)
    for index, ((x, y), r, (row, column)) in enumerate(zip(xy.tolist(), radius.tolist(), blocks.tolist(), strict=True)):
        if taken[row, column]:
            continue
        reach = r + largest
        free = True
        for gy in range(int(max(y - reach, 0) / cell), int((y + reach) / cell) + 1):
            for gx in range(int(max(x - reach, 0) / cell), int((x + reach) / cell) + 1):
                for ox, oy, other in grid.get(gy * columns + gx, ()):
                    limit = (r + other) * OVERLAP
                    if (x - ox) ** 2 + (y - oy) ** 2 < limit * limit:
                        free = False
                        break
                if not free:
                    break
            if not free:
                break
        if not free:
            continue
        kept.append(index)
        largest = max(largest, r)
        grid.setdefault(int(y / cell) * columns + int(x / cell), []).append((x, y, r))
        near = int((r + slack) * 0.68 / _BLOCK_UM)  # a square within the circle that no later centre may enter
        taken[max(row - near, 0) : row + near + 1, max(column - near, 0) : column + near + 1] = True
    return np.array(kept)


def _outlines(
    anatomy: Anatomy,
    xy: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    gap: npt.NDArray[np.float64],
    reach: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Radial outlines: the soft minimum of the bisectors with the neighbours and of the tube's own stretch."""
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    hardness = 7.0
    # by portions: nine neighbours in 32 directions are 2 kB a tube
    starts = range(0, len(xy), _PORTION)
    closeness = np.concatenate([_crowd(xy, radius, gap, slice(s, s + _PORTION), angles, hardness) for s in starts])
    # tubes lie along the medullary rays, so that many are cut obliquely
    ray = np.arctan2(xy[:, 1] - anatomy.papilla_um[1], xy[:, 0] - anatomy.papilla_um[0])
    stretch = 1.0 + rng.uniform(0.1, 0.55, len(xy))
    oblique = np.hypot(np.cos(angles - ray[:, None]) / stretch[:, None], np.sin(angles - ray[:, None]))
    own = (oblique / (reach * radius)[:, None]) ** hardness
    outline = (closeness + own) ** (-1 / hardness)
    phase = rng.uniform(0, 2 * np.pi, (len(xy), 3, 1))
    wobble = sum(0.022 * np.sin(k * angles + phase[:, i]) for i, k in enumerate((3, 5, 8)))
    result: npt.NDArray[np.float64] = np.maximum(outline * (1 + wobble), 1.5)
    return result


def _crowd(
    xy: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    gap: npt.NDArray[np.float64],
    chosen: slice,
    angles: npt.NDArray[np.float64],
    hardness: float,
) -> npt.NDArray[np.float64]:
    """How near the neighbours' bisectors come in each direction, (chosen, direction): a sum of powers of 1 / um."""
    own_xy, own_radius = xy[chosen], radius[chosen]
    distance, index = (found[:, 1:] for found in nearest(xy, own_xy, 10))
    offset = xy[index] - own_xy[:, None]
    towards = np.arctan2(offset[..., 1], offset[..., 0])
    middle = distance * own_radius[:, None] / (own_radius[:, None] + radius[index]) - gap[chosen, None] / 2
    cosine = np.cos(angles[None, None] - towards[..., None])
    closeness = (np.maximum(cosine, 0) / np.maximum(middle, 1.0)[..., None]) ** hardness
    summed: npt.NDArray[np.float64] = closeness.sum(axis=1)
    return summed
