import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_eval.distances.manifold import coverage, density, find_neighbourhoods, precision, recall
from g2m_eval.errors import InputError


def apart(u, v):
    return float(np.sqrt(((u - v) ** 2).sum()))


def radius(points, index, k):
    """Distance to the k-th nearest other point, one pair at a time."""
    return sorted(apart(points[index], other) for j, other in enumerate(points) if j != index)[k - 1]


def brute_force(real, generated, k):
    """The definitions of Kynkäänniemi et al. 2019 (Eq. 1-2) and Naeem et al. 2020 (Eq. 4-5), word for word."""
    of_real = [radius(real, j, k) for j in range(len(real))]
    of_generated = [radius(generated, i, k) for i in range(len(generated))]
    inside = [[apart(y, x) <= r for x, r in zip(real, of_real, strict=True)] for y in generated]
    found = [[apart(x, y) <= r for y, r in zip(generated, of_generated, strict=True)] for x in real]
    return (
        np.mean([any(row) for row in inside]),
        np.mean([any(row) for row in found]),
        np.sum(inside) / (k * len(generated)),
        np.mean([any(row[j] for row in inside) for j in range(len(real))]),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 40), st.integers(8, 40), st.integers(1, 6), st.integers(1, 5))
def test_all_four_equal_their_definitions_pair_by_pair(seed, n_real, n_generated, dim, k):
    random = np.random.default_rng(seed)
    real = random.standard_normal((n_real, dim)).astype(np.float32) + 20
    generated = (random.standard_normal((n_generated, dim)) * 1.5).astype(np.float32) + 20.5
    ours = [f(real, generated, neighbours=k) for f in (precision, recall, density, coverage)]
    theirs = brute_force(real.astype(np.float64), generated.astype(np.float64), k)
    assert ours == pytest.approx(list(theirs), abs=1e-12)


def test_a_tight_set_within_a_wide_one_is_precise_and_has_little_recall():
    random = np.random.default_rng(0)
    wide, tight = random.standard_normal((1000, 8)), 0.3 * random.standard_normal((1000, 8))
    assert precision(wide, tight) > 0.8
    assert recall(wide, tight) < 0.3
    assert density(wide, tight) > 1
    assert coverage(wide, tight) < 0.5


def test_blocks_of_any_size_give_what_all_distances_at_once_give():
    random = np.random.default_rng(1)
    real, generated = random.standard_normal((301, 16)), random.standard_normal((257, 16)) * 1.1
    whole = find_neighbourhoods(real, generated, rows=1000, columns=1000)
    for rows, columns in ((64, 50), (7, 3), (1, 301)):
        batched = find_neighbourhoods(real, generated, rows=rows, columns=columns)
        for name in ("realistic", "surrounding", "reached", "covered"):
            np.testing.assert_array_equal(getattr(batched, name), getattr(whole, name))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_set_is_all_precise_recalled_and_covered_by_itself_also_where_patches_repeat(scale):
    """Plain glass gives the same patch many times: neighbourhoods of radius 0, which still hold their own image."""
    random = np.random.default_rng(2)
    points = np.concatenate([random.standard_normal((40, 5)), np.repeat(random.standard_normal((1, 5)), 12, axis=0)])
    real = (points * scale + 3).astype(np.float32)
    found = find_neighbourhoods(real, real.copy(), rows=7, columns=11)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density >= 1


def test_sets_far_apart_share_nothing():
    random = np.random.default_rng(3)
    real, generated = random.standard_normal((50, 4)), random.standard_normal((50, 4)) + 100
    found = find_neighbourhoods(real, generated)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_two_sets_alike_have_density_near_one_and_high_coverage():
    random = np.random.default_rng(4)
    found = find_neighbourhoods(random.standard_normal((1500, 6)), random.standard_normal((1500, 6)))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage > 0.9


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.ones((5, 3)), np.ones((9, 3)), "more than 5 images"),
        (np.ones((9, 3)), np.ones((9, 4)), "3 and 4 dimensions"),
        (np.full((9, 3), np.nan), np.ones((9, 3)), "NaN"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(real, generated, message):
    with pytest.raises(InputError, match=message):
        find_neighbourhoods(real, generated)
