"""Molecules: counts per 2 um bin and per spot, drawn from the true maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS, Anatomy, smooth_field
from g2m_data.simulate.config import PhantomSettings, SectionPlan
from g2m_data.simulate.packing import drawn_factors
from g2m_data.simulate.programmes import WINDOW_COUNTS, Panel

BIN_UM, WINDOW_BINS = 2.0, 27
BLOCK = 4  # bins that share one expression profile: 8 um, the raster of the truth
ROW_UM, COLUMN_UM, SPOT_UM = 50 * 3**0.5, 50.0, 55.0
TUFT_SHARE = 0.75  # of a glomerulus' molecules that are its own


@dataclass(frozen=True)
class Molecules:
    """What the sequencer saw."""

    array_row: npt.NDArray[np.int64]
    """Of every position, on and off tissue, row-major."""
    array_col: npt.NDArray[np.int64]
    xy_um: npt.NDArray[np.float64]
    """Centres in slide um."""
    in_tissue: npt.NDArray[np.bool_]
    counts: sparse.csr_matrix
    """(positions in tissue, measured gene)"""
    measured: npt.NDArray[np.int64]
    """Columns of `counts` as indices into `panel.every_gene`."""


def rates(
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    xy_um: npt.NDArray[np.float64],
    measured: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Mean counts of a window's worth of tissue around each point, 0 outside the tissue; (n, 2) -> (n, gene)."""
    region = anatomy.at(anatomy.region, xy_um).astype(np.uint8)
    table = np.zeros((OUTSIDE + 1, len(measured)))
    table[: len(REGIONS)] = panel.profile[:, measured]
    result = table[region]
    factors = drawn_factors(anatomy, xy_um, region)
    for index in range(factors.shape[1]):
        driven = np.flatnonzero(panel.factor[measured] == index)
        effect = panel.effect[measured][driven]
        # the second term keeps the mean over a standard normal factor at the profile's level
        result[:, driven] *= np.exp(factors[:, index, None] * effect - (factors[:, index, None] != 0) * effect**2 / 2)
    for x, y, radius in glomeruli_um:
        inside = np.flatnonzero((np.hypot(xy_um[:, 0] - x, xy_um[:, 1] - y) < radius) & (region == 0))
        result[inside] += TUFT_SHARE * (panel.tuft[measured] - result[inside])
    return result


def count_bins(
    plan: SectionPlan,
    settings: PhantomSettings,
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Molecules:
    """Visium HD: Poisson counts in 2 um bins on a turned, perhaps flipped grid that does not start at 0."""
    measured = _measured_genes(panel, plan, rng)
    efficiency = rng.lognormal(0, settings.batch_sd, len(measured))
    turn, centre = _array_to_slide(plan, anatomy)
    reach = np.array([anatomy.size_um]) / 2 - BLOCK * BIN_UM
    sine, cosine = abs(np.sin(np.deg2rad(plan.rotation_deg))), np.cos(np.deg2rad(plan.rotation_deg))
    # the largest upright grid whose turned corners stay on the slide
    inner = (reach[0] - sine * reach[0, ::-1]) / cosine
    columns, rows = (int(2 * side / BIN_UM) // BLOCK * BLOCK for side in inner)
    first_row, first_column = 434, 1637
    row, column = np.divmod(np.arange(rows * columns), columns)
    offset = np.stack([column - (columns - 1) / 2, row - (rows - 1) / 2], axis=1) * BIN_UM
    xy = centre + offset @ turn.T
    in_tissue = anatomy.level_at(xy) > 0

    shape = anatomy.region.shape
    depth_field = np.exp(0.22 * smooth_field(rng, (shape[0], shape[1]), 60.0) - 0.0242)
    strips = _count_strips(
        plan, panel, anatomy, glomeruli_um, rng, xy, in_tissue, columns, measured, efficiency, depth_field
    )
    counts = sparse.vstack(list(strips), format="csr")
    return Molecules(row + first_row, column + first_column, xy, in_tissue, counts, measured)


def _count_strips(
    plan: SectionPlan,
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    rng: np.random.Generator,
    xy: npt.NDArray[np.float64],
    in_tissue: npt.NDArray[np.bool_],
    columns: int,
    measured: npt.NDArray[np.int64],
    efficiency: npt.NDArray[np.float64],
    depth_field: npt.NDArray[np.float64],
) -> Iterator[sparse.csr_matrix]:
    """Counts of a few array rows at a time, row-major, so that memory does not grow with the slide."""
    strip_bins = 4 * BLOCK * columns
    for start in range(0, len(xy), strip_bins):
        part = xy[start : start + strip_bins]
        tissue = in_tissue[start : start + strip_bins]
        blocks = part.reshape(-1, BLOCK, columns // BLOCK, BLOCK, 2)
        centres = blocks.mean(axis=(1, 3)).reshape(-1, 2)
        members = np.arange(len(part)).reshape(-1, BLOCK, columns // BLOCK, BLOCK)
        members = members.transpose(0, 2, 1, 3).reshape(len(centres), BLOCK * BLOCK)
        some = np.flatnonzero(tissue[members].any(axis=1))
        # a block whose centre lies in a hole lends its profile from its bin deepest in the tissue
        deepest = np.argmax(np.where(tissue[members[some]], anatomy.level_at(part[members[some]]), -1), axis=1)
        inside = anatomy.level_at(centres[some]) > 0
        points = np.where(inside[:, None], centres[some], part[members[some, deepest]])
        mean = rates(panel, anatomy, glomeruli_um, points, measured) * efficiency
        amount = BLOCK * BLOCK / WINDOW_BINS**2 * plan.depth * WINDOW_BINS**2 / WINDOW_COUNTS
        amount = amount * anatomy.at(depth_field, points) * rng.lognormal(-0.045, 0.3, len(points))
        drawn = rng.poisson(mean * amount[:, None])
        block, gene = np.nonzero(drawn)
        repeats = drawn[block, gene]
        block, gene = np.repeat(block, repeats), np.repeat(gene, repeats)
        landed = members[some[block], rng.integers(0, BLOCK * BLOCK, len(block))]
        kept = tissue[landed]
        position = np.cumsum(tissue) - 1
        shape = (int(tissue.sum()), len(measured))
        matrix = sparse.coo_matrix((np.ones(kept.sum(), np.int32), (position[landed[kept]], gene[kept])), shape).tocsr()
        matrix.sort_indices()
        yield matrix


def count_spots(
    plan: SectionPlan,
    settings: PhantomSettings,
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Molecules:
    """Standard Visium: negative-binomial counts in 55 um spots on a hexagonal lattice of 100 um pitch."""
    measured = _measured_genes(panel, plan, rng)
    efficiency = rng.lognormal(0, settings.batch_sd, len(measured))
    turn, centre = _array_to_slide(plan, anatomy)
    first_row, first_column = 12, 20
    rows, columns = (
        int(side / pitch) + 3 for side, pitch in zip(anatomy.size_um[::-1], (ROW_UM, COLUMN_UM), strict=True)
    )
    row, column = np.divmod(np.arange(rows * columns), columns)
    lattice = (row + column) % 2 == 0
    row, column = row[lattice], column[lattice]
    offset = np.stack([(column - (columns - 1) / 2) * COLUMN_UM, (row - (rows - 1) / 2) * ROW_UM], axis=1)
    xy = centre + offset @ turn.T
    seen = ((xy > SPOT_UM / 2) & (xy < np.array(anatomy.size_um) - SPOT_UM / 2)).all(axis=1)
    row, column, xy = row[seen], column[seen], xy[seen]

    step = np.arange(-3, 4) * 8.0
    disc = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) < SPOT_UM / 2]
    covered = np.stack([anatomy.level_at(xy + shift) > 0 for shift in disc]).mean(axis=0)
    in_tissue = (covered >= 0.5) & (anatomy.level_at(xy) > 0)
    spots = xy[in_tissue]
    mean = sum(rates(panel, anatomy, glomeruli_um, spots + shift, measured) for shift in disc) / len(disc)
    shape = anatomy.region.shape
    depth_field = anatomy.at(np.exp(0.22 * smooth_field(rng, (shape[0], shape[1]), 120.0)), spots)
    amount = plan.depth / WINDOW_COUNTS * depth_field * rng.lognormal(0, 0.22, len(spots))
    mean = mean * efficiency * amount[:, None]
    counts = rng.poisson(mean * rng.gamma(12.0, 1 / 12.0, mean.shape)).astype(np.int32)
    return Molecules(row + first_row, column + first_column, xy, in_tissue, sparse.csr_matrix(counts), measured)


def _measured_genes(panel: Panel, plan: SectionPlan, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Indices of the genes this section's kit measures, in the kit's own order."""
    own = set(panel.private[plan.platform])
    index = [i for i, gene in enumerate(panel.every_gene) if i < len(panel.genes) or gene in own]
    return np.array(index)[rng.permutation(len(index))]


def _array_to_slide(plan: SectionPlan, anatomy: Anatomy) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix from unflipped array offsets (x, y) to slide offsets, and the array's centre on the slide."""
    angle = np.deg2rad(plan.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([-1.0 if plan.flip_columns else 1.0, -1.0 if plan.flip_rows else 1.0])
    return turn @ flip, np.array(anatomy.size_um) / 2
