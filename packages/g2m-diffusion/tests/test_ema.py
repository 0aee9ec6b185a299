import pytest
import torch

from g2m_diffusion.config import PRESETS, EmaSettings
from g2m_diffusion.ema import AveragedModule, ema_decay


def test_half_life_is_counted_in_images():
    settings = EmaSettings(half_life_images=1000.0, ramp_up=0.05)
    assert ema_decay(settings, images_seen=10**6, batch_size=100) ** 10 == pytest.approx(0.5)


def test_half_life_grows_with_the_images_seen_at_first():
    settings = EmaSettings(half_life_images=1000.0, ramp_up=0.05)
    assert ema_decay(settings, images_seen=2000, batch_size=100) == pytest.approx(0.5)
    assert ema_decay(settings, images_seen=0, batch_size=100) == 0.0


@pytest.mark.parametrize("name", ["paper", "paper-code"])
def test_paper_presets_keep_0_9999_at_each_update_after_a_rise_like_diffusers(name):
    settings = PRESETS[name].of_pairs(307_713)
    for updates in (1_000, 10_000, 80_000, 130_000):
        # as diffusers' EMAModel.get_decay
        expected = min((1 + updates) / (10 + updates), 0.9999)
        assert ema_decay(settings.ema, updates * settings.batch_size, settings.batch_size) == pytest.approx(
            expected, abs=1e-4
        )
    assert ema_decay(settings.ema, settings.total_images, settings.batch_size) == pytest.approx(0.9999, abs=1e-6)


def test_the_average_follows_and_never_writes_back():
    module = torch.nn.Linear(3, 3)
    average = AveragedModule(module)
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    live = module.weight.detach().clone()
    average.update(module, decay=0.75)
    torch.testing.assert_close(average.module.weight, first + 0.25)
    state = average.state_dict()
    average.update(module, decay=0.0)
    average.load_state_dict(state)
    assert torch.equal(module.weight, live)
    assert not any(p.requires_grad for p in average.module.parameters())
    assert not average.module.training
