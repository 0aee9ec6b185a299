import numpy as np
import pytest

from g2m_eval.distances.frechet import frechet_distance
from g2m_eval.distances.kernel import kernel_distance
from g2m_eval.distances.spread import (
    SpotGroups,
    frechet_without_each,
    jackknife_interval,
    kernel_without_each,
    share_interval,
)
from g2m_eval.intervals import resamples


def each_its_own(n_a, n_b, *, groups=50, seed=0):
    return SpotGroups.draw(np.arange(n_a), np.arange(n_b) + n_a, groups=groups, seed=seed)


def test_images_of_one_spot_share_a_group_on_both_sides_and_groups_are_even():
    generated, reference = np.repeat(np.arange(60), 4), np.arange(60)[::-1]
    groups = SpotGroups.draw(generated, reference, groups=20, seed=0)
    by_spot = dict(zip(reference.tolist(), groups.reference.tolist(), strict=True))
    assert [by_spot[spot] for spot in generated] == groups.generated.tolist()
    assert np.bincount(groups.reference).tolist() == [3] * 20


def test_spots_of_one_set_alone_are_spread_over_all_groups():
    groups = SpotGroups.draw(np.arange(100), np.arange(73, 150), groups=10, seed=1)
    assert np.bincount(groups.generated, minlength=10).tolist() == [10] * 10
    assert np.ptp(np.bincount(groups.reference, minlength=10)) == 1


def test_no_group_of_either_set_is_empty_where_shared_spots_and_others_are_few():
    groups = SpotGroups.draw(np.arange(6), np.arange(3, 9), groups=50, seed=0)
    assert groups.count == 6
    assert sorted(groups.generated) == sorted(groups.reference) == list(range(6))


def test_there_are_no_more_groups_than_spots():
    assert SpotGroups.draw(np.repeat([0, 1, 2], 9), np.arange(40), groups=50, seed=0).count == 3


@pytest.mark.parametrize("dim", [3, 12, 60])  # 60: fewer images than dimensions
def test_frechet_distances_without_each_group_are_those_of_the_other_images(dim):
    random = np.random.default_rng(2)
    a = (random.standard_normal((40, dim)) + 1e3).astype(np.float32)
    b = (random.standard_normal((30, dim)) * 1.4 + 1e3).astype(np.float32)
    groups = each_its_own(40, 30, groups=10)
    expected = [frechet_distance(a[groups.generated != g], b[groups.reference != g]) for g in range(10)]
    np.testing.assert_allclose(frechet_without_each(a, b, groups), expected, rtol=1e-6)


def test_kernel_distances_without_each_group_are_those_of_the_other_images():
    random = np.random.default_rng(3)
    a, b = random.standard_normal((40, 5)), random.standard_normal((40, 5)) + 0.5
    groups = each_its_own(40, 40, groups=8)
    expected = [
        kernel_distance(a[groups.generated != g], b[groups.reference != g], subsets=1, subset_size=35).mean
        for g in range(8)
    ]
    np.testing.assert_allclose(kernel_without_each(a, b, groups), expected, rtol=1e-4)


def test_jackknife_of_a_mean_is_its_usual_standard_error():
    values = np.random.default_rng(4).standard_normal(30)
    interval = jackknife_interval(values.mean(), (values.sum() - values) / 29)
    assert interval.high - interval.value == pytest.approx(2.04523 * values.std(ddof=1) / 30**0.5, rel=1e-4)
    assert interval.value - interval.low == pytest.approx(interval.high - interval.value)


def test_intervals_of_shares_are_percentiles_of_means_over_groups_drawn_anew():
    groups = each_its_own(20, 20, groups=5)
    values = np.random.default_rng(5).random(20)
    means = [np.mean(np.concatenate([values[groups.generated == g] for g in r])) for r in resamples(5, times=500)]
    interval = share_interval(float(values.mean()), values, groups.generated, groups=5, seed=0)
    assert [interval.low, interval.high] == pytest.approx(np.percentile(means, [2.5, 97.5]).tolist())
    assert interval.low < interval.value < interval.high


def test_below_five_groups_there_is_no_interval():
    a, b = np.eye(4), 2 * np.eye(4)
    groups = each_its_own(4, 4)
    intervals = (
        jackknife_interval(1.0, frechet_without_each(a, b, groups)),
        jackknife_interval(1.0, kernel_without_each(a, b, groups)),
        jackknife_interval(1.0, np.arange(4.0)),
        share_interval(1.0, np.ones(4), groups.generated, groups=groups.count, seed=0),
    )
    for interval in intervals:
        assert interval.value == 1
        assert np.isnan([interval.low, interval.high]).all()
    assert np.isfinite(jackknife_interval(1.0, frechet_without_each(np.eye(5), 2 * np.eye(5), each_its_own(5, 5))).low)


def against_repeated_draws(distance, without_each, draw, *, truth, trials=60, groups=50):
    """Mean standard error over the standard deviation of repeated draws, and share of intervals with the truth."""
    found = []
    for trial in range(trials):
        a, b = draw(np.random.default_rng(trial))
        left = without_each(a, b, each_its_own(len(a), len(b), groups=groups, seed=trial))
        found.append((jackknife_interval(distance(a, b), left), ((len(left) - 1) * np.var(left)) ** 0.5))
    intervals, errors = zip(*found, strict=True)
    ratio = np.mean(errors) / np.std([interval.value for interval in intervals], ddof=1)
    return float(ratio), float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def test_frechet_interval_is_as_wide_as_repeated_draws_of_two_known_gaussians_differ():
    """|m|² + sum (s1 - s2)² = 4 x 0.25 + 4 x 0.16, with far more images than dimensions."""
    ratio, covered = against_repeated_draws(
        frechet_distance,
        frechet_without_each,
        lambda random: (random.standard_normal((1500, 4)), 1.4 * random.standard_normal((1500, 4)) + 0.5),
        truth=1.64,
    )
    assert 0.8 <= ratio <= 1.25
    assert 0.86 <= covered <= 1.0  # the width has its bound above


@pytest.mark.parametrize(("images", "dim", "widest"), [(60, 20, 1.5), (160, 100, 1.5), (48, 64, 1.75)])
def test_with_few_images_a_frechet_interval_is_not_much_too_wide_and_covers_the_expected_distance(images, dim, widest):
    """The expected value at that number of images, by drawing other pairs of sets, is far above the true one."""

    def draw(random):
        return random.standard_normal((images, dim)), random.standard_normal((images, dim)) + 0.5

    expected = float(np.mean([frechet_distance(*draw(np.random.default_rng(10_000 + i))) for i in range(60)]))
    assert expected > 1.3 * 0.25 * dim
    ratio, covered = against_repeated_draws(
        frechet_distance, frechet_without_each, draw, truth=expected, trials=40, groups=30
    )
    assert 0.9 <= ratio <= widest
    assert covered >= 0.9


def test_kernel_interval_is_as_wide_as_repeated_draws_differ():
    """Truth from 4 x 20,000 images."""
    random = np.random.default_rng(6)
    truth = kernel_distance(
        random.standard_normal((20_000, 4)), random.standard_normal((20_000, 4)) + 0.4, subsets=20, subset_size=1500
    ).mean
    ratio, covered = against_repeated_draws(
        lambda a, b: kernel_distance(a, b, subsets=1, subset_size=300).mean,
        kernel_without_each,
        lambda random: (random.standard_normal((300, 4)), random.standard_normal((300, 4)) + 0.4),
        truth=truth,
        groups=16,
    )
    assert 0.8 <= ratio <= 1.25
    assert covered >= 0.86
