import numpy as np
from torch import nn

from g2m_interpret.attribution.halves import shared_by_halves

PAIRS = [("a", "b"), ("b", "a")]


def test_halves_that_differ_clearly_share_their_top_genes_and_halves_of_noise_do_not(spots, genes, network):
    expression, labels = spots
    clear = shared_by_halves(network(nn.GELU()), expression, labels, genes, PAIRS, top=3)
    assert clear.shape == (2,)
    assert (clear >= 2 / 3).all()
    mixed = np.random.default_rng(0).permutation(labels)
    noise = [shared_by_halves(network(nn.GELU()), expression, mixed, genes, PAIRS, top=3, seed=s) for s in range(4)]
    assert np.mean(noise) < 0.5


def test_the_same_spots_twice_share_everything_and_labels_left_out_count_for_nothing(spots, genes, network):
    expression = np.repeat(np.stack([spots[0][0], spots[0][40], spots[0][80]]), 4, axis=0)
    labels = np.repeat(["a", "b", None], 4)
    assert shared_by_halves(network(nn.GELU()), expression, labels, genes, PAIRS, top=5).tolist() == [1, 1]


def test_a_cluster_of_one_spot_has_no_halves(spots, genes, network):
    expression, labels = spots
    alone = np.where(np.arange(90) == 30, "b", np.where(labels == "b", "c", labels))
    found = shared_by_halves(network(nn.GELU()), expression, alone, genes, [("a", "b"), ("a", "c")], top=5)
    assert np.isnan(found[0])
    assert 0 <= found[1] <= 1
