"""Molecules: counts per 2 um bin and per spot, drawn from the true maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from g2m_data.simulate.anatomy import OUTSIDE, Anatomy, smooth_field
from g2m_data.simulate.config import SectionPlan
from g2m_data.simulate.draws import draw_each, draw_pooled
from g2m_data.simulate.programmes import WINDOW_COUNTS
from g2m_data.simulate.tissue import Tissue

BIN_UM = 2.0
BLOCK = 4  # bins that share one expression profile: 8 um, the raster of the truth
ROW_UM, COLUMN_UM, SPOT_UM = 50 * 3**0.5, 50.0, 55.0
DISPERSION = 12.0  # shape of the gamma that makes spots' counts negative-binomial
FIRST_BIN, FIRST_SPOT = (434, 1637), (12, 20)  # array row and column of the first position
STRIP = 4 * BLOCK  # array rows drawn at a time, so that memory does not grow with the slide; blocks do not cross strips


@dataclass(frozen=True)
class Molecules:
    """What the sequencer saw in a strip of the array, or in all of it."""

    array_row: npt.NDArray[np.int64]
    """Of every position, on and off tissue, row-major."""
    array_col: npt.NDArray[np.int64]
    xy_um: npt.NDArray[np.float64]
    """Centres in slide um."""
    in_tissue: npt.NDArray[np.bool_]
    counts: sparse.csr_array
    """(positions in tissue, gene of the tissue's kit)"""


def count_bins(plan: SectionPlan, tissue: Tissue, rng: np.random.Generator) -> Iterator[Molecules]:
    """Visium HD: Poisson counts in 2 um bins on a turned, perhaps flipped grid, a few array rows at a time."""
    anatomy = tissue.anatomy
    turn, centre = _array_to_slide(plan, anatomy)
    rows, columns = bin_array(plan, anatomy.size_um)
    shape = anatomy.region.shape
    depth = plan.depth * BLOCK**2 / WINDOW_COUNTS * np.exp(0.22 * smooth_field(rng, (shape[0], shape[1]), 60.0))
    # a whole array starts at 0, a part of one elsewhere: nobody may assume either
    first_row, first_column = (0, 0) if plan.array_bins else FIRST_BIN
    across = -(-columns // BLOCK) * BLOCK  # blocks at the edge may reach beyond the array
    for start in range(0, rows, STRIP):
        stop = min(start + STRIP, -(-rows // BLOCK) * BLOCK)
        row, column = np.divmod(np.arange(start * across, stop * across), across)
        xy = centre + np.stack([column - (columns - 1) / 2, row - (rows - 1) / 2], axis=1) * BIN_UM @ turn.T
        present = (row < rows) & (column < columns)
        in_tissue = (anatomy.level_at(xy) > 0) & present
        counts = _count_strip(tissue, xy, in_tissue, across, depth, rng)
        yield Molecules(
            row[present] + first_row, column[present] + first_column, xy[present], in_tissue[present], counts
        )


def bin_array(plan: SectionPlan, size_um: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a Visium HD array on a slide of the given width and height."""
    if plan.array_bins:
        return plan.array_bins, plan.array_bins
    reach = np.array(size_um) / 2 - BLOCK * BIN_UM
    sine, cosine = abs(np.sin(np.deg2rad(plan.rotation_deg))), np.cos(np.deg2rad(plan.rotation_deg))
    # an upright grid small enough that its turned corners stay on the slide
    columns, rows = (int(2 * side / BIN_UM) // BLOCK * BLOCK for side in (reach - sine * reach[::-1]) / cosine)
    return rows, columns


def strips_of(plan: SectionPlan, size_um: tuple[float, float]) -> int:
    """How many strips the section's molecules come in."""
    return -(-bin_array(plan, size_um)[0] // STRIP) if plan.platform == "visium-hd" else 1


def _count_strip(
    tissue: Tissue,
    xy: npt.NDArray[np.float64],
    in_tissue: npt.NDArray[np.bool_],
    columns: int,
    depth: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> sparse.csr_array:
    """Counts of the bins in tissue of a few array rows: drawn by block, then scattered over the block's bins."""
    grid = np.arange(len(xy)).reshape(-1, BLOCK, columns // BLOCK, BLOCK)
    members = grid.transpose(0, 2, 1, 3).reshape(-1, BLOCK * BLOCK)
    members = members[in_tissue[members].any(axis=1)]
    # a block expresses what its bin deepest in the tissue does: its centre may lie in a hole
    deepest = tissue.anatomy.level_at(xy[members]).argmax(axis=1)
    points = xy[members[np.arange(len(members)), deepest]]
    centres = xy[members].mean(axis=1)
    points = np.where((tissue.anatomy.at(tissue.anatomy.region, centres) != OUTSIDE)[:, None], centres, points)
    amount = tissue.anatomy.at(depth, points) * rng.lognormal(0, 0.3, len(points))
    draw = draw_pooled if tissue.pooled else draw_each
    block, gene = draw(tissue, points, amount, rng)
    landed = members[block, rng.integers(0, BLOCK * BLOCK, len(block))]
    kept = in_tissue[landed]
    place = (np.cumsum(in_tissue) - 1)[landed[kept]]
    ones = np.ones(len(place), np.int32)
    counts = sparse.coo_array((ones, (place, gene[kept])), (int(in_tissue.sum()), len(tissue.measured))).tocsr()
    counts.sort_indices()
    return counts


def count_spots(plan: SectionPlan, tissue: Tissue, rng: np.random.Generator) -> Iterator[Molecules]:
    """Standard Visium: negative-binomial counts in 55 um spots on a hexagonal lattice of 100 um pitch."""
    anatomy = tissue.anatomy
    turn, centre = _array_to_slide(plan, anatomy)
    width, height = anatomy.size_um
    rows, columns = int(height / ROW_UM) + 3, int(width / COLUMN_UM) + 3
    row, column = np.divmod(np.arange(rows * columns), columns)
    lattice = (row + column) % 2 == 0
    row, column = row[lattice], column[lattice]
    offset = np.stack([(column - (columns - 1) / 2) * COLUMN_UM, (row - (rows - 1) / 2) * ROW_UM], axis=1)
    xy = centre + offset @ turn.T
    seen = ((xy > SPOT_UM / 2) & (xy < np.array(anatomy.size_um) - SPOT_UM / 2)).all(axis=1)
    row, column, xy = row[seen], column[seen], xy[seen]

    step = np.arange(-3, 4) * 8.0
    disc = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    disc = disc[np.hypot(disc[:, 0], disc[:, 1]) < SPOT_UM / 2]
    covered = np.stack([anatomy.level_at(xy + shift) > 0 for shift in disc]).mean(axis=0)
    in_tissue = (covered >= 0.5) & (anatomy.level_at(xy) > 0)
    spots = xy[in_tissue]
    mean = np.zeros((len(spots), len(tissue.measured)))
    for shift in disc:
        mean += tissue.rates(spots + shift) / len(disc)
    shape = anatomy.region.shape
    depth = anatomy.at(np.exp(0.22 * smooth_field(rng, (shape[0], shape[1]), 120.0)), spots)
    mean *= (plan.depth / WINDOW_COUNTS * depth * rng.lognormal(0, 0.22, len(spots)))[:, None]
    counts = rng.poisson(mean * rng.gamma(DISPERSION, 1 / DISPERSION, mean.shape)).astype(np.int32)
    first_row, first_column = FIRST_SPOT
    yield Molecules(row + first_row, column + first_column, xy, in_tissue, sparse.csr_array(counts))


def _array_to_slide(plan: SectionPlan, anatomy: Anatomy) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix from unflipped array offsets (x, y) to slide offsets, and the array's centre on the slide."""
    angle = np.deg2rad(plan.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([-1.0 if plan.flip_columns else 1.0, -1.0 if plan.flip_rows else 1.0])
    return turn @ flip, np.array(anatomy.size_um) / 2
