import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.space.mixing import mixing_score


def cloud(n, seed, shift=0.0):
    return (np.random.default_rng(seed).normal(size=(n, 8)) + shift).astype(np.float32)


def test_one_cloud_is_well_mixed_and_two_apart_are_not():
    assert mixing_score(cloud(400, 0), cloud(400, 1)).value == pytest.approx(1, abs=0.05)
    assert mixing_score(cloud(400, 0), cloud(400, 1, shift=20)).value == 0


def test_interval_covers_what_perfect_mixing_gives():
    found = [mixing_score(cloud(150, 2 * seed), cloud(150, 2 * seed + 1), seed=seed) for seed in range(25)]
    covered = [interval.low <= 1 <= interval.high for interval in found]
    assert np.mean(covered) >= 0.9
    spread = np.std([interval.value for interval in found])
    widths = [(interval.high - interval.low) / (2 * 1.96) for interval in found]
    assert 0.7 * spread < np.mean(widths) < 2 * spread  # standard errors are those of repeated draws


def test_half_of_the_generated_among_the_real_is_half_mixed():
    # half of the generated points lie with all of the real ones (x), half far away (y): y sees no real point, x and the
    # real ones see each other in proportion 1 : 2, so 2/3 and 1/3 of neighbours are of the other kind
    real, near, far = cloud(600, 0), cloud(300, 1), cloud(300, 2, shift=20)
    found = mixing_score(real, np.concatenate([near, far]))
    expected = (0.5 * (1 / 3) + 0.25 * (2 / 3) + 0.25 * 0) / 0.5
    assert found.value == pytest.approx(expected, abs=0.03)


def test_the_larger_kind_is_cut_to_the_smaller():
    assert mixing_score(cloud(900, 0), cloud(200, 1)).value == pytest.approx(1, abs=0.08)


def test_a_copy_of_every_point_is_not_called_better_than_mixed_by_much():
    points = cloud(400, 0)
    assert mixing_score(points, points).value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shift", [0.0, 0.7])
@pytest.mark.parametrize("n", [45, 50])
def test_at_the_fewest_patches_standard_errors_are_still_those_of_repeated_draws(n, shift):
    found = [mixing_score(cloud(n, 2 * seed, shift), cloud(n, 2 * seed + 1), seed=seed) for seed in range(40)]
    errors = [(interval.high - interval.value) / 1.96 for interval in found]
    assert 0.7 < np.mean(errors) / np.std([interval.value for interval in found]) < 1.5


@pytest.mark.parametrize("n", [10, 16, 30, 44])
def test_too_few_patches_are_refused(n):
    with pytest.raises(InputError, match=f"at least 45 patches of each kind, got {n} and 400"):
        mixing_score(cloud(n, 0), cloud(400, 1))


def test_fewer_neighbours_need_fewer_patches():
    assert mixing_score(cloud(15, 0), cloud(15, 1), neighbours=5).high > 0
