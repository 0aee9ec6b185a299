import numpy as np
import pytest
from scipy.stats import spearmanr

from g2m_eval.errors import InputError
from g2m_eval.fidelity.factors import within_region_correlation


def test_rho_is_the_mean_of_scipys_weighted_by_spots_less_one():
    random = np.random.default_rng(0)
    region = np.repeat(["a", "b"], [30, 50])
    x = random.standard_normal(80)
    y = np.round(x + random.standard_normal(80), 1)  # with ties
    each = [spearmanr(x[region == r], y[region == r]).statistic for r in ("a", "b")]
    found = within_region_correlation(x, y, region)
    assert found.rho == pytest.approx(np.average(each, weights=[29, 49]))
    assert found.n == 80


def test_a_difference_between_regions_alone_counts_for_nothing():
    """Pooled rho is 0.7 here, because both sides follow the region; within regions there is nothing."""
    random = np.random.default_rng(1)
    region = np.repeat(["a", "b"], 100)
    level = np.repeat([0.0, 5.0], 100)
    x, y = level + random.standard_normal(200), level + random.standard_normal(200)
    found = within_region_correlation(x, y, region)
    assert spearmanr(x, y).statistic > 0.6
    assert abs(found.rho) < 0.2
    assert found.p > 0.05


def test_p_is_uniform_without_correlation():
    random = np.random.default_rng(2)
    region = np.repeat(["a", "b", "c"], 15)
    p = [
        within_region_correlation(*random.standard_normal((2, 45)), region, permutations=199, seed=i).p
        for i in range(300)
    ]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("sign", [1, -1])
def test_strong_correlation_of_either_sign_has_the_smallest_p(sign):
    random = np.random.default_rng(3)
    x = random.standard_normal(60)
    found = within_region_correlation(x, sign * x + 0.3 * random.standard_normal(60), ["r"] * 60, permutations=999)
    assert found.rho * sign > 0.8
    assert found.p == pytest.approx(1 / 1000)


def test_small_constant_and_missing_spots_are_left_out():
    x = np.concatenate([np.arange(20.0), np.arange(5.0), np.arange(20.0)])
    y = np.concatenate([np.arange(20.0), np.arange(5.0), np.ones(20)])
    y[0] = np.nan
    found = within_region_correlation(x, y, ["big"] * 20 + ["small"] * 5 + ["constant"] * 20)
    assert found.n == 19
    assert found.rho == pytest.approx(1)


def test_nothing_left_is_nan_and_not_an_error():
    found = within_region_correlation([1.0, 2.0], [1.0, 2.0], ["a", "a"])
    assert np.isnan(found.rho)
    assert np.isnan(found.p)
    assert found.n == 0


def test_same_seed_same_p_also_when_permutations_are_cut_into_chunks(monkeypatch):
    random = np.random.default_rng(4)
    x, y = random.standard_normal((2, 50))
    whole = within_region_correlation(x, y, ["r"] * 50, permutations=500, seed=1)
    monkeypatch.setattr("g2m_eval.fidelity.factors._CHUNK_ELEMENTS", 1000)
    assert within_region_correlation(x, y, ["r"] * 50, permutations=500, seed=1).p == pytest.approx(whole.p)


def test_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="one value a spot"):
        within_region_correlation([1.0], [1.0, 2.0], ["a"])
