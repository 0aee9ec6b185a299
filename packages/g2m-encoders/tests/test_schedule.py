import pytest

from g2m_encoders.config import OptimizerSettings
from g2m_encoders.schedule import learning_rate


def test_constant_without_warmup():
    settings = OptimizerSettings(lr=5e-6)
    assert {learning_rate(settings, seen, 1000) for seen in (0, 500, 5000)} == {5e-6}


def test_cosine_rises_then_falls_to_zero():
    settings = OptimizerSettings(lr=1.0, warmup_images=100, decay="cosine")
    assert learning_rate(settings, 0, 1100) == pytest.approx(0.01)
    assert learning_rate(settings, 100, 1100) == pytest.approx(1.0)
    assert learning_rate(settings, 600, 1100) == pytest.approx(0.5)
    assert learning_rate(settings, 1100, 1100) == pytest.approx(0.0)
    assert learning_rate(settings, 9999, 1100) == pytest.approx(0.0)
