import torch

from g2m_gan.noise import Stream, draw_normal, draw_uniform

KEYS = torch.tensor([3, 1_000_000_007, 0, 2**40])


def test_a_key_draws_the_same_in_any_batch():
    whole = draw_normal(KEYS, Stream.LATENT, 64)
    for index in range(4):
        assert torch.equal(draw_normal(KEYS[index : index + 1], Stream.LATENT, 64)[0], whole[index])


def test_global_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    first, state = draw_uniform(KEYS, Stream.CROP, 5), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(draw_uniform(KEYS, Stream.CROP, 5), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_longer_draws_begin_with_the_shorter():
    short, long = (draw_normal(KEYS, Stream.LATENT, count) for count in (64 + 320, 64 + 320 + 1024))
    assert torch.equal(long[:, : short.shape[1]], short)


def test_draws_are_standard_normal_and_independent_between_keys_and_streams():
    a, b = draw_normal(KEYS, Stream.LATENT, 4096), draw_normal(KEYS, Stream.GENERATOR_LATENT, 4096)
    rows = torch.cat([a, b])
    correlation = torch.corrcoef(rows) - torch.eye(8)
    assert correlation.abs().max() < 0.08
    assert (rows.mean(dim=1).abs() < 0.08).all()
    assert (rows.std(dim=1) - 1).abs().max() < 0.05
