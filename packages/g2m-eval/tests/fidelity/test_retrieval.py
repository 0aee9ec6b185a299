import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_eval.errors import InputError
from g2m_eval.fidelity.retrieval import retrieval_at_k


def test_equal_spaces_find_everything_at_the_first_place():
    x = np.random.default_rng(0).standard_normal((50, 8))
    found = retrieval_at_k(x, 3 * x, k=1)
    assert found.hits.tolist() == [1.0] * 50
    assert found.share == 1.0
    assert found.chance == pytest.approx(1 / 50)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_collapsed_space_scores_chance(value):
    found = retrieval_at_k(np.full((40, 3), value), np.ones((40, 3)), k=5)
    assert found.share == pytest.approx(5 / 40) == found.chance


def test_several_queries_may_look_for_one_row():
    gallery = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    queries = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.8]])
    found = retrieval_at_k(queries, gallery, np.array([0, 1, 2]), 1)
    assert found.hits.tolist() == [1.0, 0.0, 1.0]
    found = retrieval_at_k(queries, gallery, np.array([0, 0, 0]), 1)
    assert found.hits.tolist() == [1.0, 0.0, 0.0]
    assert found.n == 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_rank_agrees_with_a_naive_sort(seed, n):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, 4)), random.standard_normal((n, 4))
    k = int(random.integers(1, n + 1))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    naive = np.mean([i in np.argsort(-cosine[i])[:k] for i in range(n)])
    assert retrieval_at_k(a, b, k=k).share == pytest.approx(naive)


@pytest.mark.parametrize(("n", "k"), [(5, 0), (5, 6)])
def test_k_outside_the_gallery_is_refused(n, k):
    with pytest.raises(InputError, match="k between"):
        retrieval_at_k(np.ones((n, 2)), np.ones((n, 2)), k=k)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(InputError, match="one space"):
        retrieval_at_k(np.ones((3, 2)), np.ones((4, 3)), np.arange(3), 1)
    with pytest.raises(InputError, match="row 4 is not among 4"):
        retrieval_at_k(np.ones((3, 2)), np.ones((4, 2)), np.array([0, 1, 4]), 1)
    with pytest.raises(InputError, match="infinite"):
        retrieval_at_k(np.full((3, 2), np.inf), np.ones((3, 2)), k=1)
