import torch

from g2m_encoders.noise import Stream, draw_normal, draw_uniform

KEYS = torch.tensor([3, 2**62, -5, 3])


def test_draws_depend_on_the_key_alone():
    whole = draw_uniform(KEYS, Stream.VIEW, 40)
    assert torch.equal(whole[2:], draw_uniform(KEYS[2:], Stream.VIEW, 40))
    assert torch.equal(whole[0], whole[3])
    assert not torch.equal(whole[0], whole[1])


def test_draws_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    draw_uniform(KEYS, Stream.VIEW, 5)
    draw_normal(KEYS, Stream.COUNTS, 5)
    assert torch.equal(state, torch.get_rng_state())


def test_streams_of_a_key_are_unrelated():
    keys = torch.arange(400)
    drawn = [draw_uniform(keys, stream, 50).flatten() for stream in Stream] + [
        draw_normal(keys, Stream.COUNTS, 50).flatten()
    ]
    related = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(drawn))
    assert float(related[:-2].abs().max()) < 0.03
