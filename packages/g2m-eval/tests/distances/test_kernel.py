import numpy as np
import pytest

from g2m_eval.distances.kernel import kernel_distance
from g2m_eval.errors import InputError


def naive_squared_mmd(x, y):
    """Bińkowski et al. 2018, unbiased, one pair at a time."""
    kernel = lambda u, v: (u @ v / len(u) + 1) ** 3  # noqa: E731
    m = len(x)
    within = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within - 2 * sum(kernel(u, v) for u in x for v in y) / m**2


def test_one_whole_subset_equals_the_sum_over_pairs():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((12, 5)), random.standard_normal((12, 5)) + 0.3
    found = kernel_distance(x, y, subsets=3, subset_size=12)
    assert found.mean == pytest.approx(naive_squared_mmd(x, y), rel=1e-12)
    assert found.sd == pytest.approx(0, abs=1e-12)


def test_a_set_with_itself_is_slightly_negative_and_another_distribution_is_not():
    random = np.random.default_rng(1)
    x, y = random.standard_normal((300, 16)), random.standard_normal((300, 16)) * 1.5
    assert -0.1 < kernel_distance(x, x, subsets=1, subset_size=300).mean < 0
    assert kernel_distance(x, y, subsets=20, subset_size=100).mean > 0.1


def test_small_sets_shrink_the_subsets_and_the_result_says_so():
    random = np.random.default_rng(2)
    found = kernel_distance(random.standard_normal((40, 4)), random.standard_normal((70, 4)))
    assert (found.subsets, found.subset_size) == (100, 40)


def test_same_seed_same_subsets():
    random = np.random.default_rng(3)
    x, y = random.standard_normal((60, 4)), random.standard_normal((60, 4))
    first = kernel_distance(x, y, subsets=5, subset_size=20, seed=7)
    assert first == kernel_distance(x, y, subsets=5, subset_size=20, seed=7)
    assert first != kernel_distance(x, y, subsets=5, subset_size=20, seed=8)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones((5, 3)), np.ones((5, 4))),
        (np.ones((1, 3)), np.ones((5, 3))),
        (np.ones((5, 3)), np.full((5, 3), np.inf)),
    ],
)
def test_features_that_cannot_be_compared_are_refused(a, b):
    with pytest.raises(InputError):
        kernel_distance(a, b)
