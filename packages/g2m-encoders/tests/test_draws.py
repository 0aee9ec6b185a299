import torch

from g2m_encoders.draws import draw_normal, draw_uniform

KEYS = torch.tensor([3, 2**62, -5, 3])


def test_draws_depend_on_the_key_alone():
    whole = draw_uniform(KEYS, 40)
    assert torch.equal(whole[2:], draw_uniform(KEYS[2:], 40))
    assert torch.equal(whole[0], whole[3])
    assert not torch.equal(whole[0], whole[1])


def test_draws_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    draw_uniform(KEYS, 5)
    draw_normal(KEYS, 5)
    assert torch.equal(state, torch.get_rng_state())


def test_normals_are_standard_and_unrelated_to_the_uniforms():
    keys = torch.arange(400)
    normal, uniform = draw_normal(keys, 50), draw_uniform(keys, 50)
    assert abs(float(normal.mean())) < 0.03
    assert abs(float(normal.std()) - 1) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([normal.flatten(), uniform.flatten()]))[0, 1])) < 0.03
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
