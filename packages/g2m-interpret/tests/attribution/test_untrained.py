import copy

import pytest
import torch
from torch import nn

from g2m_interpret import keys
from g2m_interpret.attribution.pairs import attribute_pairs
from g2m_interpret.attribution.profiles import cluster_profiles
from g2m_interpret.attribution.untrained import freshly_initialised
from g2m_interpret.config import AttributionSettings
from g2m_interpret.errors import InputError


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(24))

    def forward(self, x):
        return x * self.scale


def test_fresh_weights_are_those_that_the_layers_give_themselves(network):
    encoder = nn.Sequential(network(nn.GELU()), nn.LayerNorm(8))
    with torch.no_grad():
        encoder[1].weight.fill_(7.0)
    before = copy.deepcopy(encoder.state_dict())
    state = torch.get_rng_state()
    fresh, again, other = (freshly_initialised(encoder, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    expected = nn.Linear(24, 40)
    assert torch.equal(fresh[0][0].weight, expected.weight)
    assert torch.equal(fresh[0][4].weight, again[0][4].weight)
    assert not torch.equal(fresh[0][4].weight, other[0][4].weight)
    assert fresh[1].weight.unique().tolist() == [1.0]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_scores_of_untrained_encoders_lie_beside_the_own(spots, genes, network):
    encoder, profiles = network(nn.GELU()), cluster_profiles(*spots, genes)
    plain = attribute_pairs(encoder, profiles)
    found = attribute_pairs(encoder, profiles, settings=AttributionSettings(untrained=2), seed=5)
    assert (found.X == plain.X).all()
    assert found.obs.equals(plain.obs)
    expected = attribute_pairs(freshly_initialised(encoder, 6), profiles)
    assert (found.layers[f"{keys.UNTRAINED}_2"] == expected.X).all()
    assert (found.layers[f"{keys.UNTRAINED}_1"] != expected.X).any()


def test_untrained_encoders_need_no_mean_embedding_of_theirs(spots, genes, network):
    encoder = network(nn.GELU())
    profiles = cluster_profiles(*spots, genes, encode=encoder)
    settings = AttributionSettings(reference="mean-embedding", untrained=1)
    found = attribute_pairs(encoder, profiles, settings=settings, pairs=[("a", "b")])
    expected = attribute_pairs(freshly_initialised(encoder, 0), profiles, pairs=[("a", "b")])
    assert (found.layers[f"{keys.UNTRAINED}_1"] == expected.X).all()


def test_an_encoder_that_cannot_be_had_untrained_is_refused(spots, genes):
    settings, profiles = AttributionSettings(untrained=1), cluster_profiles(*spots, genes)
    with pytest.raises(InputError, match="Scaled has weights but no reset_parameters"):
        attribute_pairs(Scaled(), profiles, settings=settings)
    with pytest.raises(InputError, match="only a module"):
        attribute_pairs(lambda x: x[:, :3], profiles, settings=settings)
