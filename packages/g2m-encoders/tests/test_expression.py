import dataclasses

import pytest
import torch

from g2m_encoders.config import PRESETS
from g2m_encoders.expression import ExpressionEncoder


def test_paper_encoder_has_352_million_parameters():
    settings = PRESETS["paper"].expression
    with torch.device("meta"):
        encoder = ExpressionEncoder(settings, genes=18_248, embedding_dim=512)
    parameters = sum(p.numel() for p in encoder.parameters())
    assert parameters == 352_482_184
    assert sum(p.numel() for p in encoder.hidden.parameters()) == 333_007_752


@pytest.fixture
def encoder() -> ExpressionEncoder:
    torch.manual_seed(0)
    settings = dataclasses.replace(PRESETS["paper"].expression, hidden=32, features=16)
    return ExpressionEncoder(settings, genes=10, embedding_dim=8)


def test_embeddings_have_unit_norm(encoder):
    assert torch.allclose(encoder(torch.rand(5, 10) * 4).norm(dim=1), torch.ones(5), atol=1e-6)


def test_without_noise_nothing_is_dropped_in_training_mode(encoder):
    x = torch.rand(5, 10)
    assert torch.equal(encoder.train()(x), encoder.eval()(x))


def test_noise_above_the_dropout_rate_scales_and_below_it_removes(encoder):
    x = torch.rand(1, 10)
    hidden = torch.nn.functional.gelu(encoder.hidden(x))
    kept = torch.cat([torch.ones(1, 32), torch.zeros(1, 8)], dim=1)  # keep the first layer, drop the head's residual
    expected = encoder.head.project(torch.nn.functional.gelu(encoder.features(hidden / 0.2)))
    assert torch.allclose(encoder(x, kept), torch.nn.functional.normalize(expected, dim=-1), atol=1e-5)
