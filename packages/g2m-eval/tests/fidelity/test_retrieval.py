import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_eval.errors import InputError
from g2m_eval.fidelity.retrieval import retrieval_at_k


def test_equal_spaces_find_everything_at_the_first_place():
    x = np.random.default_rng(0).standard_normal((50, 8))
    found = retrieval_at_k(x, 3 * x, 1)
    assert (found.a_to_b, found.b_to_a, found.mean) == (1.0, 1.0, 1.0)
    assert found.chance == pytest.approx(1 / 50)


def test_a_collapsed_space_scores_chance():
    found = retrieval_at_k(np.ones((40, 3)), np.ones((40, 3)), 5)
    assert found.mean == pytest.approx(5 / 40) == found.chance


def test_directions_are_told_apart():
    a = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.8]])
    b = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    # a0 -> b0 yes; a1 -> b2, no; a2 -> b2, yes.  b0 -> a0 yes; b1 -> a0, no; b2 -> a1, no.
    found = retrieval_at_k(a, b, 1)
    assert (found.a_to_b, found.b_to_a) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_rank_agrees_with_a_naive_sort(seed, n):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, 4)), random.standard_normal((n, 4))
    k = int(random.integers(1, n + 1))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    naive = np.mean([i in np.argsort(-cosine[i])[:k] for i in range(n)])
    assert retrieval_at_k(a, b, k).a_to_b == pytest.approx(naive)


@pytest.mark.parametrize(("n", "k"), [(5, 0), (5, 6)])
def test_k_outside_the_pairs_is_refused(n, k):
    with pytest.raises(InputError, match="k between"):
        retrieval_at_k(np.ones((n, 2)), np.ones((n, 2)), k)


def test_unpaired_and_zero_vectors_are_refused():
    with pytest.raises(InputError, match="paired"):
        retrieval_at_k(np.ones((3, 2)), np.ones((4, 2)), 1)
    with pytest.raises(InputError, match="zero"):
        retrieval_at_k(np.zeros((3, 2)), np.ones((3, 2)), 1)
