import numpy as np
import pytest

from g2m_eval.distances.frechet import frechet_distance
from g2m_eval.distances.kernel import kernel_distance
from g2m_eval.distances.spread import SpotGroups, interval_of, resampled_frechet, resampled_kernel, resampled_shares


def each_its_own(n_a, n_b, *, groups=50, times=100, seed=0):
    return SpotGroups.draw(np.arange(n_a), np.arange(n_b) + n_a, groups=groups, times=times, seed=seed)


def repeated(features, group, weights):
    """The features of one resample, written out."""
    return np.concatenate([np.tile(features[group == g], (int(w), 1)) for g, w in enumerate(weights)])


def test_images_of_one_spot_share_a_group_on_both_sides_and_groups_are_even():
    generated, reference = np.repeat(np.arange(60), 4), np.arange(60)[::-1]
    groups = SpotGroups.draw(generated, reference, groups=20, times=5, seed=0)
    by_spot = dict(zip(reference.tolist(), groups.reference.tolist(), strict=True))
    assert [by_spot[spot] for spot in generated] == groups.generated.tolist()
    assert np.bincount(groups.reference).tolist() == [3] * 20
    assert groups.weights.shape == (5, 20)
    assert (groups.weights.sum(axis=1) == 20).all()


def test_spots_of_one_set_alone_are_spread_over_all_groups():
    groups = SpotGroups.draw(np.arange(100), np.arange(70, 150), groups=10, times=2, seed=1)
    assert np.ptp(np.bincount(groups.generated, minlength=10)) <= 2
    assert np.ptp(np.bincount(groups.reference, minlength=10)) <= 2


def test_there_are_no_more_groups_than_spots():
    assert SpotGroups.draw(np.repeat([0, 1, 2], 9), np.arange(40), groups=50, times=2, seed=0).count == 3


@pytest.mark.parametrize("dim", [3, 12])
def test_frechet_distances_of_resamples_are_those_of_the_repeated_features(dim, monkeypatch):
    random = np.random.default_rng(2)
    a = (random.standard_normal((40, dim)) + 1e3).astype(np.float32)
    b = (random.standard_normal((30, dim)) * 1.4 + 1e3).astype(np.float32)
    groups = each_its_own(40, 30, groups=10, times=6)
    # a resample of n groups holds each of them `weight` times, so its unbiased covariance is of repeated rows
    expected = [
        frechet_distance(repeated(a, groups.generated, w), repeated(b, groups.reference, w)) for w in groups.weights
    ]
    np.testing.assert_allclose(resampled_frechet(a, b, groups), expected, rtol=1e-6)
    monkeypatch.setattr("g2m_eval.distances.spread._BYTES", 8 * dim * dim * 2)  # two covariances at a time
    np.testing.assert_allclose(resampled_frechet(a, b, groups), expected, rtol=1e-6)


def test_kernel_of_groups_that_are_all_drawn_once_is_the_distance_of_the_whole_sets():
    random = np.random.default_rng(3)
    a, b = random.standard_normal((40, 5)), random.standard_normal((40, 5)) + 0.5
    groups = each_its_own(40, 40, groups=8, times=2)
    once = SpotGroups(generated=groups.generated, reference=groups.reference, weights=np.ones((1, 8), dtype=np.int64))
    whole = kernel_distance(a, b, subsets=1, subset_size=40).mean
    assert resampled_kernel(a, b, once)[0] == pytest.approx(whole, rel=1e-4)


def test_kernel_leaves_out_pairs_of_an_image_with_its_copies():
    random = np.random.default_rng(4)
    a, b = random.standard_normal((12, 3)), random.standard_normal((12, 3))
    groups = each_its_own(12, 12, groups=4, times=3, seed=5)
    kernel = lambda x, y: (x @ y.T / 3 + 1) ** 3  # noqa: E731

    def within(x, group, weights):
        total, pairs = 0.0, 0
        copies = [(g, c) for g, w in enumerate(weights) for c in range(int(w))]
        for g, c in copies:
            for h, d in copies:
                if g == h and c != d:
                    continue  # two copies of one group
                block = kernel(x[group == g], x[group == h])
                total += block.sum() - (np.trace(block) if g == h else 0)
                pairs += block.size - (len(block) if g == h else 0)
        return total / pairs

    for weights, found in zip(groups.weights, resampled_kernel(a, b, groups), strict=True):
        x, y = repeated(a, groups.generated, weights), repeated(b, groups.reference, weights)
        expected = within(a, groups.generated, weights) + within(b, groups.reference, weights) - 2 * kernel(x, y).mean()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_shares_are_means_of_the_repeated_values():
    groups = each_its_own(20, 20, groups=5, times=4)
    values = np.random.default_rng(5).random(20)
    expected = [repeated(values[:, None], groups.generated, w).mean() for w in groups.weights]
    np.testing.assert_allclose(resampled_shares(values, groups.generated, groups.weights), expected)


def coverage_of_frechet(truth, draw, trials=60):
    """Share of trials whose interval holds the truth."""
    hits = 0
    for trial in range(trials):
        random = np.random.default_rng(trial)
        a, b = draw(random)
        groups = each_its_own(len(a), len(b), times=50, seed=trial)
        interval = interval_of(frechet_distance(a, b), resampled_frechet(a, b, groups), groups.count)
        hits += interval.low <= truth <= interval.high
    return hits / trials


def test_interval_covers_the_known_distance_of_two_gaussians_about_as_often_as_it_says():
    """|m|² + sum (s1 - s2)² = 4 x 0.25 + 4 x 0.16, with far more images than dimensions."""
    covered = coverage_of_frechet(
        1.64, lambda random: (random.standard_normal((1500, 4)), 1.4 * random.standard_normal((1500, 4)) + 0.5)
    )
    assert 0.86 <= covered <= 1.0


def test_with_few_images_it_covers_the_expected_distance_at_that_number_which_is_far_above_the_true_one():
    """60 images in 20 dimensions: expected value by drawing 400 other pairs of sets."""

    def draw(random):
        return random.standard_normal((60, 20)), random.standard_normal((60, 20)) + 0.5

    expected = np.mean([frechet_distance(*draw(np.random.default_rng(10_000 + i))) for i in range(400)])
    assert expected > 1.3 * 5.0
    assert 0.86 <= coverage_of_frechet(float(expected), draw) <= 1.0


def test_kernel_interval_covers_the_distance_of_the_two_distributions():
    """Truth from 4 x 20,000 images."""
    random = np.random.default_rng(6)
    truth = kernel_distance(
        random.standard_normal((20_000, 4)), random.standard_normal((20_000, 4)) + 0.4, subsets=20, subset_size=1500
    ).mean
    hits = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        a, b = random.standard_normal((300, 4)), random.standard_normal((300, 4)) + 0.4
        groups = each_its_own(300, 300, groups=16, times=200, seed=trial)
        value = kernel_distance(a, b, subsets=1, subset_size=300).mean
        interval = interval_of(value, resampled_kernel(a, b, groups), groups.count)
        hits += interval.low <= truth <= interval.high
    assert 52 <= hits <= 60
