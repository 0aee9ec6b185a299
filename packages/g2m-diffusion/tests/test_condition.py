import itertools

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.nn.functional import cosine_similarity, normalize

from g2m_diffusion import InputError
from g2m_diffusion.condition import ExpressionCondition


def unit_vectors(n, dim):
    return normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(4)), dim=1)


def test_padded_embeddings_are_one_token_that_ends_in_ones():
    embeddings = unit_vectors(5, 12)
    tokens, vector = ExpressionCondition(12, 20, kind="padded")(embeddings)
    assert tokens.shape == (5, 1, 20)
    assert torch.equal(tokens[:, 0, :12], embeddings)
    assert (tokens[:, 0, 12:] == 1).all()
    assert vector is None


def test_any_two_padded_prompts_are_nearly_the_same():
    # (256 - 1) / (256 + 1) for opposite embeddings: reference/MODEL_FACTS.md section 4
    embeddings = torch.cat([unit_vectors(40, 512), -unit_vectors(40, 512)])
    tokens = ExpressionCondition(512, 768, kind="padded")(embeddings)[0][:, 0]
    cosines = torch.stack([cosine_similarity(a, b, dim=0) for a, b in itertools.combinations(tokens, 2)])
    assert cosines.min() == pytest.approx(255 / 257, abs=1e-5)
    assert cosines.min() >= 0.992


def test_projected_embeddings_are_told_apart():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        condition = ExpressionCondition(512, 32, tokens=8)
    tokens, vector = condition(unit_vectors(40, 512))
    assert tokens.shape == (40, 8, 32)
    assert vector.shape == (40, 512)
    for values in (tokens.flatten(1), vector):
        pairs = torch.corrcoef(values) - 2 * torch.eye(40)
        assert pairs.max() < 0.5
        assert 0.3 < values.std() < 3  # of a size that networks are made for


def test_77_identical_tokens_do_what_one_does_in_a_real_cross_attention(randomised):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet2DConditionModel(
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=20,
            attention_head_dim=2,
            norm_num_groups=8,
        ).eval()
    randomised(unet)
    token = ExpressionCondition(12, 20, kind="padded")(unit_vectors(3, 12))[0]
    noisy = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        one, many, other = (
            unet(noisy, 500, encoder_hidden_states=tokens).sample
            for tokens in (token, token.expand(-1, 77, -1), token.flip(0))
        )
    torch.testing.assert_close(many, one, atol=1e-5, rtol=1e-5)
    assert (other - one).abs().max() > 1e-3  # the token does matter


def test_dropped_samples_get_the_null_embedding_and_the_others_their_own(null_embedding):
    condition = ExpressionCondition(12, 20)
    condition.null_embedding.copy_(null_embedding)
    embeddings = unit_vectors(4, 12)
    dropped = condition.drop(embeddings, torch.tensor([True, False, False, True]))
    assert torch.equal(dropped, torch.stack([null_embedding, embeddings[1], embeddings[2], null_embedding]))


@pytest.mark.parametrize("kind", ["padded", "projected"])
def test_a_saved_condition_is_the_same_with_its_null_embedding(kind, null_embedding, tmp_path):
    condition = ExpressionCondition(12, 20, kind=kind, tokens=3)
    condition.null_embedding.copy_(null_embedding)
    condition.save_pretrained(tmp_path)
    loaded = ExpressionCondition.from_pretrained(tmp_path)
    assert torch.equal(loaded.null_embedding, null_embedding)
    for a, b in zip(condition(unit_vectors(3, 12)), loaded(unit_vectors(3, 12)), strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def test_without_tokens_only_the_vector_is_learned():
    condition = ExpressionCondition(12, 20, tokens=0)
    tokens, vector = condition(unit_vectors(3, 12))
    assert tokens is None
    assert vector.shape == (3, 12)
    assert sum(p.numel() for p in condition.parameters()) == 12 * 13


def test_embeddings_longer_than_a_token_cannot_be_padded():
    with pytest.raises(InputError, match=r"condition\.kind: embeddings of 21"):
        ExpressionCondition(21, 20, kind="padded")
