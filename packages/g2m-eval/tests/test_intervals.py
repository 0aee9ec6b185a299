import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.intervals import Interval, bootstrap, percentile_interval, resamples


def test_interval_of_a_mean_covers_it_about_95_times_in_100():
    covered = 0
    for seed in range(200):
        x = np.random.default_rng(seed).normal(3.0, 1.0, 80)
        found = bootstrap(lambda rows, x=x: float(x[rows].mean()), 80, times=400, seed=seed)
        covered += found.low <= 3.0 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_width_is_that_of_the_normal_approximation():
    x = np.random.default_rng(0).normal(size=2000)
    found = bootstrap(lambda rows: float(x[rows].mean()), 2000, seed=1)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)


def test_strata_keep_their_sizes():
    strata = np.array(["a"] * 3 + ["b"] * 7)
    for rows in resamples(10, times=20, strata=strata):
        assert (strata[rows] == strata).all()


def test_same_seed_same_rows():
    first, second = (list(resamples(9, times=3, seed=4)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_strata_of_another_length_are_refused():
    with pytest.raises(InputError, match="a stratum for each, got 2"):
        list(resamples(3, times=1, strata=["a", "b"]))


def test_undefined_resamples_are_left_out_and_none_at_all_is_nan():
    assert percentile_interval(1.0, np.array([np.nan, 1.0, 1.0])) == Interval(value=1.0, low=1.0, high=1.0)
    assert np.isnan(percentile_interval(1.0, np.array([np.nan])).low)


def test_intervals_that_touch_overlap():
    assert Interval(value=1.0, low=0.0, high=2.0).overlaps(Interval(value=3.0, low=2.0, high=4.0))
    assert not Interval(value=1.0, low=0.0, high=2.0).overlaps(Interval(value=4.0, low=3.0, high=5.0))
