import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from g2m_gan.losses import (
    accuracy,
    adversarial,
    feature_statistics,
    hinge_fake,
    hinge_real,
    spherical_distance,
    statistics_distance,
)


@given(angle=st.floats(0.01, 3.1), length=st.floats(0.1, 10))
def test_spherical_distance_is_the_squared_angle(angle, length):
    a = torch.tensor([[length, 0.0, 0.0]])
    b = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]])
    assert spherical_distance(a, b).item() == pytest.approx(angle**2, rel=2e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradients_are_finite_for_equal_and_opposite_vectors(sign):
    a = torch.nn.functional.normalize(torch.randn(4, 5), dim=1).requires_grad_()
    distance = spherical_distance(a, sign * a.detach())
    distance.sum().backward()
    assert torch.isfinite(a.grad).all()
    want = 0.0 if sign > 0 else math.pi**2
    torch.testing.assert_close(distance, torch.full((4,), want), atol=0.02, rtol=0)


def test_descending_the_distance_turns_towards_the_other_vector():
    a, b = torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 1.0]])
    spherical_distance(a, b).sum().backward()
    assert a.grad[0, 1] < 0


def test_hinge_is_zero_beyond_the_margin():
    beyond, inside = [torch.full((2, 3), 1.5)], [torch.full((2, 3), 0.25)]
    assert hinge_real(beyond) == 0
    assert hinge_fake([-x for x in beyond]) == 0
    assert hinge_real(inside).item() == pytest.approx(0.75)
    assert hinge_fake(inside).item() == pytest.approx(1.25)
    assert adversarial(inside).item() == pytest.approx(-0.25)


def test_heads_count_alike_whatever_their_size():
    logits = [torch.zeros(2, 1000), torch.ones(2, 1)]
    assert adversarial(logits).item() == pytest.approx(-0.5)
    assert accuracy(logits, real=True).item() == pytest.approx(0.5)
    assert accuracy(logits, real=False).item() == pytest.approx(0.5)


def test_statistics_ignore_where_things_lie_but_not_their_colours():
    images = torch.rand(2, 3, 8, 8)
    features = [torch.rand(2, 5, 4, 4), torch.rand(2, 9, 7)]
    here = feature_statistics(images, features)
    moved = feature_statistics(images.flip(3), [features[0].roll(1, dims=2), features[1].flip(1)])
    torch.testing.assert_close(statistics_distance(moved, here), torch.zeros(2), atol=1e-5, rtol=0)
    # each colour on its own keeps mean and deviation, but they no longer vary together
    scrambled = torch.stack([images[:, 0], images[:, 1].flip(1), images[:, 2].flip(2)], dim=1)
    grey = images[:, :1].expand(-1, 3, -1, -1)
    assert statistics_distance(feature_statistics(scrambled, features), here).min() > 1e-3
    assert statistics_distance(feature_statistics(grey, features), here).min() > 1e-2


def test_statistics_have_finite_gradients_in_flat_images():
    images = torch.zeros(1, 3, 4, 4, requires_grad=True)
    real = feature_statistics(torch.rand(1, 3, 4, 4), [])
    statistics_distance(feature_statistics(images, []), real).sum().backward()
    assert torch.isfinite(images.grad).all()
