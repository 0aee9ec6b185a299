import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from g2m_eval.errors import InputError
from g2m_eval.space.clustering import HIGHEST, LOWEST, find_clusters, principal_components, search_resolution


def blobs(count, per=30, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 10, (count, 6))
    truth = np.repeat(np.arange(count), per)
    return (centres[truth] + generator.normal(0, 0.5, (len(truth), 6))).astype(np.float32), truth


def test_wanted_number_of_clusters_is_found_and_they_are_the_blobs():
    points, truth = blobs(4)
    found = find_clusters(points, clusters=4, seed=1)
    assert found.number == 4
    assert adjusted_rand_score(found.labels, truth) == 1
    assert LOWEST <= found.resolution <= HIGHEST


def test_same_seed_gives_the_same_clusters():
    points = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    first, second = (find_clusters(points, clusters=5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.resolution == second.resolution


def test_blobs_apart_stay_clusters_of_their_own_where_fewer_were_wanted():
    points, _ = blobs(4)
    found = find_clusters(points, clusters=2, neighbours=5)
    assert (found.wanted, found.number) == (2, 4)


def test_search_takes_the_nearest_number_and_of_two_the_fewer():
    jump = lambda resolution: 2 if resolution < 0.1 else 9  # noqa: E731
    assert jump(search_resolution(jump, 5)) == 2
    assert jump(search_resolution(jump, 6)) == 9


def test_search_finds_a_number_that_bisection_passes_by():
    # 5 clusters only in a narrow range above one that gives too many: halving the interval never comes back there
    number = lambda r: 3 if r < 0.01 else 8 if r < 3 else 5 if r < 6 else 12  # noqa: E731
    assert number(search_resolution(number, 5)) == 5


def test_search_is_not_fooled_by_a_step_that_falls():
    number = lambda r: 1 if r < 0.05 else 6 if r < 0.2 else 5 if r < 0.4 else 7  # noqa: E731
    assert number(search_resolution(number, 5)) == 5


def test_fewer_spots_than_clusters_is_one_line_that_names_the_section():
    with pytest.raises(InputError, match=r"section C6: 4 spots cannot be 5 clusters"):
        find_clusters(np.zeros((4, 3), np.float32), clusters=5, where="section C6")


def test_few_spots_have_fewer_neighbours():
    points, _ = blobs(2, per=4)
    assert find_clusters(points, clusters=2).neighbours == 7


def test_principal_components_of_sparse_expression_are_those_of_dense():
    generator = np.random.default_rng(0)
    dense = (generator.random((60, 30)) * (generator.random((60, 30)) < 0.3)).astype(np.float32)
    a, b = principal_components(dense, components=5), principal_components(sparse.csr_matrix(dense), components=5)
    np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-4)
    expected = np.linalg.svd(dense - dense.mean(axis=0), compute_uv=False)[:5]
    np.testing.assert_allclose(np.linalg.norm(a, axis=0), expected, rtol=1e-4)


def test_no_more_components_than_spots_allow():
    assert principal_components(np.eye(6, dtype=np.float32), components=50).shape == (6, 5)
