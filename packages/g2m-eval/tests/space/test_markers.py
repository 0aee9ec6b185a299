import numpy as np
import pytest
from scipy import sparse

from g2m_eval.config import MarkerSet
from g2m_eval.space.markers import MarkerExpression, marker_expression, name_clusters

MARKERS = (MarkerSet(region="A", genes=("Ga1", "Ga2")), MarkerSet(region="B", genes=("Gb",)))


def spoken(scores, regions="ABC"):
    scores = np.asarray(scores, dtype=float)
    return MarkerExpression(regions=tuple(regions[: scores.shape[1]]), scores=scores, found={}, absent=())


def test_symbols_match_whatever_their_case_and_absent_ones_are_told():
    found = marker_expression(np.random.default_rng(0).random((6, 2)), ["GA1", "gB"], ["s"] * 6, MARKERS)
    assert found.found == {"A": ("GA1",), "B": ("gB",)}
    assert found.absent == ("Ga2",)
    assert found.regions == ("A", "B")


def test_region_without_any_gene_is_left_out():
    found = marker_expression(np.ones((4, 1)), ["GB"], ["s"] * 4, MARKERS)
    assert found.regions == ("B",)
    assert found.absent == ("Ga1", "Ga2")
    assert (found.scores == 0).all()  # a gene that does not vary says nothing


def test_expression_is_standardised_within_each_section():
    generator = np.random.default_rng(0)
    values = generator.random((40, 3))
    sample = np.repeat(["s", "t"], 20)
    shifted = values.copy()
    shifted[20:] = 3 * shifted[20:] + 10
    a = marker_expression(values, ["Ga1", "Ga2", "Gb"], sample, MARKERS).scores
    b = marker_expression(sparse.csr_matrix(shifted), ["Ga1", "Ga2", "Gb"], sample, MARKERS).scores
    np.testing.assert_allclose(a, b, atol=1e-9)
    np.testing.assert_allclose(a[20:].mean(axis=0), 0, atol=1e-12)
    assert a[:20, 1].std() == pytest.approx(1)


def test_clusters_get_their_regions_and_the_rest_are_unnamed():
    labels = np.repeat(np.arange(4), 10)
    scores = np.repeat([[0.1, 1.5, 0], [1.2, 0, 0], [0, 0.2, 0.1], [0, 0.3, 0.2]], 10, axis=0)
    names = name_clusters(labels, spoken(scores))
    assert names.names == ("B", "A", "unnamed 1", "unnamed 2")
    assert names.clear == (True, True, False, False)
    assert names.unnamed == 2
    np.testing.assert_allclose(names.scores.to_numpy()[0], [0.1, 1.5, 0])


def test_names_are_given_one_to_one_where_two_clusters_want_the_same():
    scores = [[2.0, 0.9, 0.0], [1.9, 0.0, 0.0], [0, 0, 1.0]]
    names = name_clusters(np.arange(3), spoken(scores))
    assert names.names == ("B", "A", "C")  # 0.9 + 1.9 is more than 2.0 alone
    assert names.clear == (False, False, True)


def test_loud_wrong_markers_do_not_push_a_name_on_a_silent_cluster():
    # giving C to the first cluster would cost it A; what C's markers say below the threshold must not count
    names = name_clusters(np.arange(3), spoken([[2.0, 0.0, 0.4], [0.0, 2.0, -5.0], [0.0, 0.0, -3.0]]))
    assert names.names == ("A", "B", "unnamed 1")


def test_more_clusters_than_regions():
    names = name_clusters(np.arange(3), spoken([[1.0], [2.0], [0.7]]))
    assert names.names == ("unnamed 1", "A", "unnamed 2")


def test_without_any_marker_all_are_unnamed():
    found = marker_expression(np.ones((4, 1)), ["TP53"], ["s"] * 4, MARKERS)
    assert name_clusters(np.array([0, 1, 1, 0]), found).names == ("unnamed 1", "unnamed 2")
