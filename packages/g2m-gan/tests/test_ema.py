import pytest
import torch

from g2m_gan.config import EmaSettings
from g2m_gan.ema import AveragedModule, ema_decay


def test_half_life_is_counted_in_images():
    settings = EmaSettings(half_life_images=1000.0, ramp_up=0.05)
    decay = ema_decay(settings, images_seen=10**6, batch_size=100)
    assert decay**10 == pytest.approx(0.5)


def test_half_life_grows_with_the_images_seen_at_first():
    settings = EmaSettings(half_life_images=1000.0, ramp_up=0.05)
    assert ema_decay(settings, images_seen=2000, batch_size=100) == pytest.approx(0.5)
    assert ema_decay(settings, images_seen=0, batch_size=100) == 0.0


def test_parameters_are_averaged_and_buffers_copied():
    module = torch.nn.BatchNorm1d(3)
    average = AveragedModule(module)
    with torch.no_grad():
        module.weight.fill_(3.0)
        module.running_mean.fill_(5.0)
    average.update(module, decay=0.75)
    torch.testing.assert_close(average.module.weight, torch.full((3,), 1.5))
    torch.testing.assert_close(average.module.running_mean, torch.full((3,), 5.0))
    assert not any(p.requires_grad for p in average.module.parameters())
