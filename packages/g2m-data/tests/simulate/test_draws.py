from dataclasses import replace

import numpy as np
import pytest

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS
from g2m_data.simulate.draws import draw_each, draw_pooled
from g2m_data.simulate.tissue import sense_tissue

DRAWS = {"each": draw_each, "pooled": draw_pooled}


@pytest.fixture(scope="module")
def tissue(section):
    """With a batch effect, and a tenth of the cortex in tufts."""
    cortex = np.argwhere(section.anatomy.region == 0)[::40, ::-1] * 8.0 + 4.0
    tufts = np.column_stack([cortex, np.full(len(cortex), 20.0)])
    return sense_tissue(section.plan, section.settings, section.panel, section.anatomy, tufts, np.random.default_rng(0))


@pytest.fixture(scope="module")
def places(tissue):
    rng = np.random.default_rng(1)
    points = rng.uniform((0, 0), tissue.anatomy.size_um, (1500, 2))
    return points, rng.lognormal(-1.5, 0.5, len(points))


def counts_of(draw, tissue, places, seed):
    block, gene = DRAWS[draw](tissue, *places, np.random.default_rng(seed))
    shape = len(places[0]), len(tissue.measured)
    return np.bincount(block * shape[1] + gene, minlength=shape[0] * shape[1]).reshape(shape)


@pytest.mark.parametrize("draw", DRAWS)
def test_genes_are_drawn_at_their_rates_in_every_region_and_in_tufts(draw, tissue, places):
    points, amount = places
    region = tissue.anatomy.at(tissue.anatomy.region, points)
    rates = tissue.rates(points) * amount[:, None]
    drawn = sum(counts_of(draw, tissue, places, seed) for seed in range(30))
    tuft = tissue.in_tuft(points) & (region == 0)
    assert tuft.sum() > 20
    for where in (tuft, *((region == code) & ~tuft for code in range(len(REGIONS)))):
        expected = 30 * rates[where].sum(axis=0)
        sigmas = (drawn[where].sum(axis=0) - expected) / np.sqrt(expected)
        assert np.abs(sigmas).max() < 5
        # chi-square over the genes: mean 1, SD sqrt(2 / genes)
        assert np.mean(sigmas**2) == pytest.approx(1, abs=5 * np.sqrt(2 / len(sigmas)))
    assert (drawn[region == OUTSIDE] == 0).all()


@pytest.mark.parametrize("draw", DRAWS)
def test_genes_of_a_block_are_independent_and_poisson(draw, tissue, places):
    rates = tissue.rates(places[0]) * places[1][:, None]
    drawn = counts_of(draw, tissue, places, 7)
    seen = rates > 0
    assert ((drawn - rates)[seen] ** 2 / rates[seen]).mean() == pytest.approx(1, abs=0.05)
    # the total of any half of the genes has its mean for a variance: no gene is drawn at another's cost
    half = np.random.default_rng(0).random(rates.shape[1]) < 0.5
    mean, total = rates[:, half].sum(axis=1), drawn[:, half].sum(axis=1)
    inside = mean > 0
    assert ((total - mean)[inside] ** 2 / mean[inside]).mean() == pytest.approx(1, abs=0.2)


def test_pooled_genes_are_those_without_a_factor(tissue):
    genes, cumulative = tissue.pool
    assert (tissue.panel.factor[tissue.measured[genes]] < 0).all()
    assert len(genes) + (tissue.panel.factor[tissue.measured] >= 0).sum() == len(tissue.measured)
    assert cumulative.shape == (len(REGIONS) + 1, len(genes))


def test_a_gene_that_is_not_expressed_is_never_drawn(tissue, places):
    silent = tissue.pool[0][[0, 5, -1]]
    efficiency = tissue.efficiency.copy()
    efficiency[silent] = 0
    _, gene = draw_pooled(replace(tissue, efficiency=efficiency), *places, np.random.default_rng(0))
    assert not np.isin(gene, silent).any()
    assert len(gene) > 100_000
