"""Two ways to draw the molecules of blocks of tissue, alike in distribution but not draw by draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS
from g2m_data.simulate.tissue import Tissue

Drawn = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def draw_each(
    tissue: Tissue, points_um: npt.NDArray[np.float64], amount: npt.NDArray[np.float64], rng: np.random.Generator
) -> Drawn:
    """One Poisson draw a gene and block; returns each molecule's block and gene (a column of the kit)."""
    return _unroll(rng.poisson(tissue.rates(points_um) * amount[:, None]))


def draw_pooled(
    tissue: Tissue, points_um: npt.NDArray[np.float64], amount: npt.NDArray[np.float64], rng: np.random.Generator
) -> Drawn:
    """As `draw_each`, but in time that grows with the molecules instead of with blocks times genes.

    Genes without a factor have, up to the block's amount, one of six profiles: of a region or of a tuft. Independent
    Poisson counts are their Poisson sum, shared out by the profile; so only the sum is drawn, and a gene for each of
    its molecules. (A whole Visium HD section has half a million blocks of 18,248 genes, and 450 molecules in each.)
    """
    pool, cumulative = tissue.pool
    driven = np.flatnonzero(tissue.panel.factor[tissue.measured] >= 0)
    block, gene = _unroll(rng.poisson(tissue.rates(points_um, driven) * amount[:, None]))
    blocks, genes = [block], [driven[gene]]
    region = tissue.anatomy.at(tissue.anatomy.region, points_um).astype(np.int64)
    profile = np.where(tissue.in_tuft(points_um) & (region == 0), len(REGIONS), region)
    for code in np.unique(profile[region != OUTSIDE]):
        here = np.flatnonzero(profile == code)
        edges = cumulative[code]
        block = np.repeat(here, rng.poisson(edges[-1] * amount[here]))
        place = np.searchsorted(edges, rng.random(len(block)) * edges[-1], side="right")
        blocks.append(block)
        genes.append(pool[np.minimum(place, len(pool) - 1)])  # the product may round up to the last edge
    return np.concatenate(blocks), np.concatenate(genes)


def _unroll(drawn: npt.NDArray[np.int64]) -> Drawn:
    """(block, gene) counts to one entry a molecule."""
    block, gene = np.nonzero(drawn)
    repeats = drawn[block, gene]
    return np.repeat(block, repeats), np.repeat(gene, repeats)
