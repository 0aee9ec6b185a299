"""Molecules: counts per 2 um bin and per spot, drawn from the true maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS, Anatomy, smooth_field
from g2m_data.simulate.config import PhantomSettings, SectionPlan
from g2m_data.simulate.packing import drawn_factors
from g2m_data.simulate.programmes import WINDOW_COUNTS, Panel

BIN_UM = 2.0
BLOCK = 4  # bins that share one expression profile: 8 um, the raster of the truth
ROW_UM, COLUMN_UM, SPOT_UM = 50 * 3**0.5, 50.0, 55.0
TUFT_SHARE = 0.75  # of a glomerulus' molecules that are its own
DISPERSION = 12.0  # shape of the gamma that makes spots' counts negative-binomial
FIRST_BIN, FIRST_SPOT = (434, 1637), (12, 20)  # array row and column of the first position: nobody may assume 0


@dataclass(frozen=True)
class Molecules:
    """What the sequencer saw."""

    array_row: npt.NDArray[np.int64]
    """Of every position, on and off tissue, row-major."""
    array_col: npt.NDArray[np.int64]
    xy_um: npt.NDArray[np.float64]
    """Centres in slide um."""
    in_tissue: npt.NDArray[np.bool_]
    counts: sparse.csr_array
    """(positions in tissue, measured gene)"""
    measured: npt.NDArray[np.int64]
    """Columns of `counts` as indices into `panel.every_gene`."""


@dataclass(frozen=True)
class Tissue:
    """What a section expresses, as its kit sees it."""

    panel: Panel
    anatomy: Anatomy
    glomeruli_um: npt.NDArray[np.float64]
    """Centre and radius of each tuft, (n, 3)."""
    measured: npt.NDArray[np.int64]
    """Indices into `panel.every_gene`, in the kit's order."""
    efficiency: npt.NDArray[np.float64]
    """The section's batch effect: fold of each measured gene."""

    def rates(self, xy_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Mean counts of a window's worth of tissue around each point, 0 outside; (n, 2) -> (n, gene)."""
        region = self.anatomy.at(self.anatomy.region, xy_um)
        table = np.zeros((OUTSIDE + 1, len(self.measured)))
        table[: len(REGIONS)] = self.panel.profile[:, self.measured]
        result: npt.NDArray[np.float64] = table[region]
        factors = drawn_factors(self.anatomy, xy_um, region)
        for index in range(factors.shape[1]):
            driven = np.flatnonzero(self.panel.factor[self.measured] == index)
            effect, sd = self.panel.effect[self.measured][driven], factors[:, index, None]
            # the second term keeps the mean over a standard normal factor at the profile's level
            result[:, driven] *= np.exp(sd * effect - (sd != 0) * effect**2 / 2)
        for x, y, radius in self.glomeruli_um:
            inside = np.flatnonzero((np.hypot(xy_um[:, 0] - x, xy_um[:, 1] - y) < radius) & (region == 0))
            result[inside] += TUFT_SHARE * (self.panel.tuft[self.measured] - result[inside])
        return result * self.efficiency


def sense_tissue(
    plan: SectionPlan,
    settings: PhantomSettings,
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Tissue:
    """Put a section's kit and batch together."""
    own = set(panel.private[plan.platform])
    index = [i for i, gene in enumerate(panel.every_gene) if i < len(panel.genes) or gene in own]
    measured = np.array(index)[rng.permutation(len(index))]
    return Tissue(panel, anatomy, glomeruli_um, measured, rng.lognormal(0, settings.batch_sd, len(measured)))


def count_bins(plan: SectionPlan, tissue: Tissue, rng: np.random.Generator) -> Molecules:
    """Visium HD: Poisson counts in 2 um bins on a turned, perhaps flipped grid that does not start at 0."""
    anatomy = tissue.anatomy
    turn, centre = _array_to_slide(plan, anatomy)
    reach = np.array(anatomy.size_um) / 2 - BLOCK * BIN_UM
    sine, cosine = abs(np.sin(np.deg2rad(plan.rotation_deg))), np.cos(np.deg2rad(plan.rotation_deg))
    # an upright grid small enough that its turned corners stay on the slide
    columns, rows = (int(2 * side / BIN_UM) // BLOCK * BLOCK for side in (reach - sine * reach[::-1]) / cosine)
    row, column = np.divmod(np.arange(rows * columns), columns)
    xy = centre + np.stack([column - (columns - 1) / 2, row - (rows - 1) / 2], axis=1) * BIN_UM @ turn.T
    in_tissue = anatomy.level_at(xy) > 0

    shape = anatomy.region.shape
    depth = plan.depth * BLOCK**2 / WINDOW_COUNTS * np.exp(0.22 * smooth_field(rng, (shape[0], shape[1]), 60.0))
    # strips of array rows, so that memory does not grow with the slide; blocks do not cross strips
    size = 4 * BLOCK * columns
    strips = [
        _count_strip(tissue, xy[start : start + size], in_tissue[start : start + size], columns, depth, rng)
        for start in range(0, len(xy), size)
    ]
    counts = sparse.vstack(strips, format="csr")
    return Molecules(row + FIRST_BIN[0], column + FIRST_BIN[1], xy, in_tissue, counts, tissue.measured)


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
    drawn = rng.poisson(tissue.rates(points) * amount[:, None])
    block, gene = np.nonzero(drawn)
    repeats = drawn[block, gene]
    block, gene = np.repeat(block, repeats), np.repeat(gene, repeats)
    landed = members[block, rng.integers(0, BLOCK * BLOCK, len(block))]
    kept = in_tissue[landed]
    place = (np.cumsum(in_tissue) - 1)[landed[kept]]
    ones = np.ones(len(place), np.int32)
    counts = sparse.coo_array((ones, (place, gene[kept])), (int(in_tissue.sum()), drawn.shape[1])).tocsr()
    counts.sort_indices()
    return counts


def count_spots(plan: SectionPlan, tissue: Tissue, rng: np.random.Generator) -> Molecules:
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
    return Molecules(row + first_row, column + first_column, xy, in_tissue, sparse.csr_array(counts), tissue.measured)


def _array_to_slide(plan: SectionPlan, anatomy: Anatomy) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix from unflipped array offsets (x, y) to slide offsets, and the array's centre on the slide."""
    angle = np.deg2rad(plan.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([-1.0 if plan.flip_columns else 1.0, -1.0 if plan.flip_rows else 1.0])
    return turn @ flip, np.array(anatomy.size_um) / 2
