import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from g2m_diffusion.noise import Stream, draw_normal, draw_uniform
from g2m_diffusion.views import choose_view

KEYS = torch.tensor([3, 1_000_000_007, 0, 2**40])
GOLDEN, FIRST, SECOND, WORD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 2**64


def mix(x):
    """SplitMix64's finaliser on Python's integers (Steele et al. 2014, Figure 17)."""
    x %= WORD
    x = (x ^ x >> 30) * FIRST % WORD
    x = (x ^ x >> 27) * SECOND % WORD
    return x ^ x >> 31


def unmix(x):
    def unshift(y, bits):
        guess = y
        for _ in range(64 // bits):
            guess = y ^ guess >> bits
        return guess

    x = unshift(x % WORD, 31) * pow(SECOND, -1, WORD) % WORD
    x = unshift(x, 27) * pow(FIRST, -1, WORD) % WORD
    return unshift(x, 30)


def key_that_draws(bits, stream):
    """The key whose first 64 bits are these."""
    key = (unmix(unmix(bits) - GOLDEN) - GOLDEN * (stream + 1)) % WORD
    return key - WORD if key >= WORD // 2 else key


@given(key=st.integers(-(2**63), 2**63 - 1), stream=st.sampled_from(Stream))
def test_numbers_are_those_of_splitmix64(key, stream):
    drawn = draw_uniform(torch.tensor([key]), stream, 4)[0].tolist()
    words = [mix(mix(key + GOLDEN * (stream + 1)) + GOLDEN * (position + 1)) for position in range(2)]
    expected = [half / 2**32 for word in words for half in (word >> 32, word % 2**32)]
    assert drawn == pytest.approx(expected, abs=2**-22)


def test_even_the_extreme_draws_lie_between_0_and_1():
    # One key in millions: a time or a view that does not exist would end a long training
    for bits in (0, WORD - 1):
        key = torch.tensor([key_that_draws(bits, Stream.VIEW)])
        drawn = draw_uniform(key, Stream.VIEW, 2)
        assert 0 < drawn.min() <= drawn.max() < 1
        assert 0 <= choose_view(key, "dihedral").item() < 8
        assert drawn.round().tolist() == [[float(bits > 0)] * 2]  # it is the extreme
        normal = draw_normal(torch.tensor([key_that_draws(bits, Stream.NOISE)]), Stream.NOISE, 2)
        assert normal.isfinite().all()


def test_a_key_draws_the_same_in_any_batch():
    whole = draw_normal(KEYS, Stream.NOISE, 64)
    for index in range(4):
        assert torch.equal(draw_normal(KEYS[index : index + 1], Stream.NOISE, 64)[0], whole[index])


def test_global_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    first, state = draw_uniform(KEYS, Stream.TIME, 5), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(draw_uniform(KEYS, Stream.TIME, 5), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("draw", [draw_normal, draw_uniform])
def test_longer_draws_begin_with_the_shorter(draw):
    long = draw(KEYS, Stream.NOISE, 1001)
    for count in (0, 1, 2, 7, 384):
        assert torch.equal(draw(KEYS, Stream.NOISE, count), long[:, :count])


def test_normal_draws_have_the_moments_of_a_standard_normal():
    drawn = draw_normal(torch.arange(256), Stream.NOISE, 4096).double()  # a million
    for power, expected, tolerance in ((1, 0, 0.005), (2, 1, 0.007), (3, 0, 0.02), (4, 3, 0.05), (6, 15, 0.8)):
        assert drawn.pow(power).mean() == pytest.approx(expected, abs=tolerance)
    assert (drawn.mean(dim=1).abs() < 5 / 64).all()
    assert drawn.abs().max() < 6


def test_uniform_draws_fill_their_range_evenly():
    drawn = draw_uniform(torch.arange(256), Stream.TIME, 1024).flatten()
    counts = torch.histc(drawn, bins=100, min=0, max=1)
    assert (counts / len(drawn) - 0.01).abs().max() < 0.001


def test_neighbouring_keys_streams_and_positions_are_independent():
    rows = torch.cat([draw_normal(torch.arange(16), stream, 4096) for stream in Stream])
    assert (torch.corrcoef(rows) - torch.eye(len(rows))).abs().max() < 0.08  # 4096 numbers: deviation 0.016
    columns = draw_normal(torch.arange(20_000), Stream.DROP, 16).T
    assert (torch.corrcoef(columns) - torch.eye(16)).abs().max() < 0.035  # deviation 0.007
    squares = torch.corrcoef(columns.square()) - torch.eye(16)
    assert squares.abs().max() < 0.035
