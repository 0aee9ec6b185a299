from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, REGIONS, draw_anatomy
from g2m_data.simulate.counts import FIRST_BIN, FIRST_SPOT, STRIP, count_bins, count_spots, strips_of
from g2m_data.simulate.tissue import sense_tissue


@pytest.fixture(scope="module")
def quiet(section):
    """The tissue without a batch effect."""
    settings = replace(section.settings, batch_sd=0.0)
    return sense_tissue(
        section.plan, settings, section.panel, section.anatomy, np.zeros((0, 3)), np.random.default_rng(0)
    )


@pytest.fixture(scope="module")
def bins(section, join_molecules):
    plan, settings = section.settings.sections[0], section.settings
    anatomy = draw_anatomy(plan, settings, np.random.default_rng(0))
    tissue = sense_tissue(plan, settings, section.panel, anatomy, np.zeros((0, 3)), np.random.default_rng(1))
    return plan, anatomy, join_molecules(count_bins(plan, tissue, np.random.default_rng(2)))


def test_bins_lie_on_a_turned_flipped_grid_that_starts_elsewhere(bins):
    plan, anatomy, molecules = bins
    assert (molecules.array_row.min(), molecules.array_col.min()) == FIRST_BIN
    design = np.stack([molecules.array_col, molecules.array_row, np.ones(len(molecules.xy_um))], axis=1)
    affine, residual, *_ = np.linalg.lstsq(design, molecules.xy_um, rcond=None)
    assert residual.max() < 1e-6
    right, down = affine[0], affine[1]
    np.testing.assert_allclose(np.hypot(*right), 2.0)
    assert np.rad2deg(np.arctan2(right[1], right[0])) == pytest.approx(plan.rotation_deg)
    assert plan.flip_rows
    assert down[1] < 0
    assert ((molecules.xy_um > 0) & (molecules.xy_um < anatomy.size_um)).all()


def test_bins_have_about_the_stated_depth_and_only_tissue_is_counted(bins):
    plan, anatomy, molecules = bins
    assert molecules.counts.shape[0] == molecules.in_tissue.sum()
    assert (anatomy.level_at(molecules.xy_um[molecules.in_tissue]) > 0).all()
    assert molecules.counts.sum() / molecules.counts.shape[0] == pytest.approx(plan.depth, rel=0.25)
    assert molecules.counts.has_canonical_format


def test_strips_follow_one_another_row_by_row_and_are_as_many_as_said(section, bins):
    plan, anatomy, whole = bins
    tissue = sense_tissue(plan, section.settings, section.panel, anatomy, np.zeros((0, 3)), np.random.default_rng(1))
    strips = list(count_bins(plan, tissue, np.random.default_rng(2)))
    assert len(strips) == strips_of(plan, anatomy.size_um)
    assert {len(np.unique(strip.array_row)) for strip in strips[:-1]} == {STRIP}
    order = whole.array_row * 100_000 + whole.array_col
    assert (np.diff(order) > 0).all()


def test_a_whole_array_has_its_side_and_starts_at_zero_even_if_blocks_do_not_divide_it(section, bins, join_molecules):
    plan, anatomy, _ = bins
    plan = replace(plan, array_bins=221)
    tissue = sense_tissue(plan, section.settings, section.panel, anatomy, np.zeros((0, 3)), np.random.default_rng(1))
    molecules = join_molecules(count_bins(plan, tissue, np.random.default_rng(2)))
    assert len(molecules.array_row) == 221**2
    for line in (molecules.array_row, molecules.array_col):
        assert (line.min(), line.max()) == (0, 220)
    assert molecules.counts.shape == (molecules.in_tissue.sum(), len(tissue.measured))
    np.testing.assert_allclose(molecules.xy_um.mean(axis=0), np.array(anatomy.size_um) / 2)


def test_spots_form_visiums_lattice(section, quiet, join_molecules):
    molecules = join_molecules(count_spots(section.plan, quiet, np.random.default_rng(0)))
    assert ((molecules.array_row + molecules.array_col) % 2 == 0).all()
    assert molecules.array_row.min() >= FIRST_SPOT[0]
    assert 0 < molecules.in_tissue.sum() < len(molecules.in_tissue)
    gaps = np.linalg.norm(molecules.xy_um[:, None] - molecules.xy_um[None], axis=-1)
    np.testing.assert_allclose(np.where(gaps == 0, np.inf, gaps).min(axis=1), 100, atol=1e-6)
    assert np.median(molecules.counts.sum(axis=1)) == pytest.approx(section.plan.depth, rel=0.25)


def test_rates_in_a_region_without_factors_are_its_profile(section, quiet):
    flat = replace(section.anatomy, factors=np.zeros_like(section.anatomy.factors))
    points = np.random.default_rng(0).uniform((0, 0), flat.size_um, (400, 2))
    region = flat.at(flat.region, points)
    rates = replace(quiet, anatomy=flat).rates(points)
    for code in range(len(REGIONS)):
        expected = section.panel.profile[code, quiet.measured]
        np.testing.assert_allclose(rates[region == code], np.tile(expected, ((region == code).sum(), 1)))
    assert (rates[region == OUTSIDE] == 0).all()


def test_driven_genes_follow_their_factor_by_their_effect(section, quiet):
    points = np.random.default_rng(0).uniform((0, 0), section.anatomy.size_um, (3000, 2))
    points = points[section.anatomy.at(section.anatomy.region, points) == REGIONS.index("IM&P")]
    rates = quiet.rates(points)
    for index in range(len(FACTORS)):
        truth = section.anatomy.at(section.anatomy.factors[index], points)
        near = np.abs(truth) < 2.5  # beyond, neither picture nor genes follow
        for column in np.flatnonzero(section.panel.factor[quiet.measured] == index):
            slope = np.polyfit(truth[near], np.log(rates[near, column]), 1)[0]
            effect = section.panel.effect[quiet.measured[column]]
            drawn = "IM&P" in list(FACTORS.values())[index][0]
            assert slope == pytest.approx(effect if drawn else 0.0, abs=1e-5)


def test_batches_differ_by_gene(section):
    folds = [
        sense_tissue(
            plan, section.settings, section.panel, section.anatomy, np.zeros((0, 3)), np.random.default_rng(n)
        ).efficiency
        for n, plan in enumerate(section.settings.sections)
    ]
    for fold in folds:
        assert np.log(fold).std() == pytest.approx(section.settings.batch_sd, rel=0.15)
    assert abs(spearmanr(folds[1], folds[2]).statistic) < 0.2


def test_a_tuft_expresses_podocyte_genes(section, quiet):
    cortex = np.argwhere(section.anatomy.region == 0)[:1, ::-1] * 8.0 + 4.0
    tuft = replace(quiet, glomeruli_um=np.array([[*cortex[0], 20.0]]))
    column = quiet.measured.tolist().index(section.panel.genes.index("Nphs2"))
    assert tuft.rates(cortex)[0, column] > 20 * quiet.rates(cortex)[0, column]
