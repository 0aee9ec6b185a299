import numpy as np
import pytest

from g2m_interpret.attribution.profiles import cluster_profiles
from g2m_interpret.errors import InputError


def test_batches_give_the_means_and_deviations_of_the_whole(spots, genes):
    expression, labels = spots
    whole = cluster_profiles(expression, labels, genes)
    parts = cluster_profiles(lambda rows: expression[rows], labels, genes, batch_size=7)
    for row, cluster in enumerate("abc"):
        own = expression[labels == cluster].astype(np.float64)
        np.testing.assert_allclose(parts.mean[row], own.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(parts.deviation[row], own.std(axis=0), rtol=1e-8)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)


def test_spots_without_a_label_are_left_out(spots, genes):
    expression, labels = spots
    marked = labels.astype(object)
    marked[:5], marked[40] = None, float("nan")
    found = cluster_profiles(expression, marked, genes)
    assert found.spots.tolist() == [25, 29, 30]


def test_mean_embedding_is_the_mean_of_embeddings(spots, genes):
    expression, labels = spots
    found = cluster_profiles(expression, labels, genes, encode=lambda x: x[:, :3].square(), batch_size=11)
    np.testing.assert_allclose(found.embedding[1], (expression[labels == "b"][:, :3] ** 2).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "clusters", "word"),
    [(np.repeat("a", 90), None, "compares"), (None, ["a", "z"], "'z'"), (np.repeat("a", 9), None, "one label each")],
)
def test_what_cannot_be_averaged_is_refused(spots, genes, labels, clusters, word):
    expression, own = spots
    with pytest.raises(InputError, match=word):
        cluster_profiles(expression, own if labels is None else labels, genes, clusters=clusters)
