import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from g2m_interpret import keys
from g2m_interpret.attribution.pairs import attribute_pairs
from g2m_interpret.attribution.profiles import cluster_profiles
from g2m_interpret.attribution.ranking import rank_genes, top_genes
from g2m_interpret.config import AttributionSettings
from g2m_interpret.errors import InputError


@pytest.fixture
def profiles(spots, genes):
    return cluster_profiles(*spots, genes)


def test_a_linear_encoder_gives_the_closed_form(profiles):
    torch.manual_seed(0)
    linear = nn.Linear(24, 6)
    found = attribute_pairs(linear, profiles)
    weight = linear.weight.detach().double().numpy()
    for pair in range(found.n_obs):
        step = found.layers[keys.DIFFERENCE][pair]
        # F(x) = ||W (x - r)||², whose integrated gradient is (x - r) * W^T W (x - r)
        expected = step * (weight.T @ weight @ step)
        np.testing.assert_allclose(found.layers[keys.ATTRIBUTION][pair], expected, rtol=1e-5, atol=1e-9)


def test_every_ordered_pair_is_complete_whichever_the_reference(spots, genes, network):
    encoder = network(nn.ReLU())
    profiles = cluster_profiles(*spots, genes, encode=encoder)
    for reference in ("mean-expression", "mean-embedding"):
        found = attribute_pairs(encoder, profiles, settings=AttributionSettings(reference=reference))
        assert found.n_obs == 6
        np.testing.assert_allclose(found.layers[keys.ATTRIBUTION].sum(axis=1), found.obs[keys.CHANGE], rtol=1e-5)
        assert found.obs[keys.COMPLETENESS_ERROR].max() <= 1e-5


def test_mean_embedding_and_embedded_mean_differ_for_a_curved_encoder(spots, genes, network):
    encoder = network(nn.GELU())
    profiles = cluster_profiles(*spots, genes, encode=encoder)
    first, second = (
        attribute_pairs(encoder, profiles, settings=AttributionSettings(reference=reference)).X
        for reference in ("mean-expression", "mean-embedding")
    )
    assert np.abs(first - second).max() > 1e-4


@pytest.mark.parametrize("smooth", [0, 3])
def test_another_order_of_genes_gives_the_same_results(profiles, network, genes, smooth):
    settings = AttributionSettings(smooth_samples=smooth)
    encoder = network(nn.GELU())
    order = np.random.default_rng(1).permutation(len(genes))
    other = network(nn.GELU())
    with torch.no_grad():
        other[0].weight.copy_(encoder[0].weight[:, torch.from_numpy(order)])
    shuffled = dataclasses.replace(
        profiles,
        genes=tuple(genes[i] for i in order),
        mean=profiles.mean[:, order],
        deviation=profiles.deviation[:, order],
    )
    first = attribute_pairs(encoder, profiles, settings=settings)
    second = attribute_pairs(other, shuffled, settings=settings)
    np.testing.assert_allclose(second[:, list(genes)].X, first.X, rtol=1e-6, atol=1e-12)
    assert top_genes(first)["gene"].tolist() == top_genes(second)["gene"].tolist()


def test_the_upregulated_score_is_nothing_where_the_query_expresses_less(profiles, network):
    found = attribute_pairs(network(nn.GELU()), profiles)
    down = found.layers[keys.DIFFERENCE] <= 0
    assert not found.X[down].any()
    np.testing.assert_array_equal(found.X[~down], np.abs(found.layers[keys.ATTRIBUTION][~down]))
    signed = attribute_pairs(network(nn.GELU()), profiles, settings=AttributionSettings(score="signed"))
    np.testing.assert_array_equal(signed.X, found.layers[keys.ATTRIBUTION])


def test_smoothgrad_is_seeded_and_differs_from_the_plain_path(profiles, network):
    settings = AttributionSettings(smooth_samples=2)
    encoder, pairs = network(nn.GELU()), [("a", "b")]
    first, again, other = (
        attribute_pairs(encoder, profiles, settings=settings, pairs=pairs, seed=seed).X for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
    assert np.abs(first - attribute_pairs(encoder, profiles, pairs=pairs).X).max() > 0


def test_the_encoder_is_left_as_it_was(profiles, network):
    encoder = network(nn.GELU()).train()
    attribute_pairs(encoder, profiles, pairs=[("a", "b")])
    assert encoder.training
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in encoder.parameters())


def test_result_survives_a_file(profiles, network, tmp_path):
    import anndata

    attribute_pairs(network(nn.GELU()), profiles).write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert read.uns[keys.ATTRIBUTION]["reference"] == "mean-expression"
    assert read.obs_names[0] == "a / b"


def test_pairs_that_cannot_be_compared_are_refused(profiles, network):
    encoder = network(nn.GELU())
    with pytest.raises(InputError, match="itself"):
        attribute_pairs(encoder, profiles, pairs=[("a", "a")])
    with pytest.raises(InputError, match="no cluster 'z'"):
        attribute_pairs(encoder, profiles, pairs=[("a", "z")])
    with pytest.raises(InputError, match="give cluster_profiles the encoder"):
        attribute_pairs(encoder, profiles, settings=AttributionSettings(reference="mean-embedding"))


def test_top_genes_are_the_highest_scores_and_equal_ones_follow_their_names(profiles, network, genes):
    found = attribute_pairs(network(nn.GELU()), profiles)
    table = top_genes(found, top=5)
    own = table[(table["query"] == "a") & (table["reference"] == "b")]
    assert own["score"].tolist() == sorted(found.X[0], reverse=True)[:5]
    found.X[:] = 1.0
    assert rank_genes(found, 0, top=3).index.tolist() == sorted(genes)[:3]
    assert len(rank_genes(found, 0, top=0)) == len(genes)
