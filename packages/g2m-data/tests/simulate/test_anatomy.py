import numpy as np
import pytest

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, RASTER_UM, REGIONS, draw_anatomy, smooth_field
from g2m_data.simulate.config import PRESETS

SETTINGS = PRESETS["demo"]


@pytest.fixture(scope="module", params=[0, 1])
def maps(request: pytest.FixtureRequest) -> dict[str, object]:
    return {
        plan.id: draw_anatomy(plan, SETTINGS, np.random.default_rng([request.param, n]))
        for n, plan in enumerate(SETTINGS.sections)
    }


def area_shares(region: np.ndarray) -> np.ndarray:
    counts = np.bincount(region.ravel(), minlength=256)[: len(REGIONS)]
    return counts / counts.sum()


def test_every_section_holds_every_region_in_unequal_shares_that_differ_between_sections(maps):
    shares = np.stack([area_shares(anatomy.region) for anatomy in maps.values()])
    assert shares.min() > 0.08
    assert (shares.max(axis=1) / shares.min(axis=1)).min() > 1.2
    assert np.ptp(shares, axis=0).max() > 0.04


def test_tissue_lies_within_the_slide_and_has_holes(maps):
    for plan in SETTINGS.sections:
        anatomy = maps[plan.id]
        tissue = anatomy.region != OUTSIDE
        edge = np.concatenate([tissue[0], tissue[-1], tissue[:, 0], tissue[:, -1]])
        assert not edge.any()
        assert ((anatomy.level > 0) == tissue).all()
        ys, xs = np.nonzero(tissue)
        span = (np.ptp(xs) + 1) * RASTER_UM, (np.ptp(ys) + 1) * RASTER_UM
        np.testing.assert_allclose(span, plan.tissue_um, rtol=0.08)
        # white within the outline: every row's first and last tissue cell enclose some glass somewhere
        enclosed = np.maximum.accumulate(tissue, axis=1) & np.maximum.accumulate(tissue[:, ::-1], axis=1)[:, ::-1]
        assert (enclosed & ~tissue).sum() * RASTER_UM**2 > 2000


def test_factors_are_standardised_and_independent_over_the_tissue(maps):
    for anatomy in maps.values():
        inside = anatomy.factors[:, anatomy.region != OUTSIDE].astype(float)
        np.testing.assert_allclose(inside.mean(axis=1), 0, atol=1e-4)
        np.testing.assert_allclose(np.cov(inside), np.eye(len(FACTORS)), atol=1e-3)


def test_smooth_field_correlates_as_its_docstring_says():
    field = smooth_field(np.random.default_rng(0), (1200, 1200), 40.0)
    lag = int(80 / RASTER_UM)
    assert field.std() == pytest.approx(1, rel=0.05)
    assert (field[:, lag:] * field[:, :-lag]).mean() == pytest.approx(np.exp(-1), abs=0.05)


def test_same_seed_draws_the_same_maps_and_another_seed_does_not():
    plan = PRESETS["tiny"].sections[0]
    first, again, other = (draw_anatomy(plan, PRESETS["tiny"], np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.region, again.region)
    np.testing.assert_array_equal(first.factors, again.factors)
    assert (first.region != other.region).mean() > 0.01
