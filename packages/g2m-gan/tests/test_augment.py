import pytest
import torch

from g2m_gan.augment import augment, cut_out, flip, recolor, translate
from g2m_gan.config import AugmentSettings
from g2m_gan.noise import Stream

IMAGES = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
KEYS = torch.arange(6)


def test_draws_belong_to_samples_not_batches():
    whole = augment(IMAGES, KEYS, Stream.REAL_VIEW, AugmentSettings())
    parts = [augment(IMAGES[i : i + 2], KEYS[i : i + 2], Stream.REAL_VIEW, AugmentSettings()) for i in (0, 2, 4)]
    torch.testing.assert_close(whole, torch.cat(parts))
    other = augment(IMAGES, KEYS, Stream.GENERATOR_VIEW, AugmentSettings())
    assert (whole - other).abs().max() > 0.1


def test_nothing_asked_for_changes_nothing():
    assert torch.equal(augment(IMAGES, KEYS, Stream.REAL_VIEW, AugmentSettings(flip=False, policy=())), IMAGES)


def test_gradients_reach_the_images():
    images = IMAGES.clone().requires_grad_()
    augment(images, KEYS, Stream.REAL_VIEW, AugmentSettings()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).float().mean() > 0.5


def test_flip_mirrors_the_chosen_samples():
    yes, no = torch.tensor([True] * 3 + [False] * 3), torch.tensor([False] * 6)
    out = flip(IMAGES, yes, no)
    assert torch.equal(out[:3], IMAGES[:3].flip(3))
    assert torch.equal(out[3:], IMAGES[3:])
    assert torch.equal(flip(IMAGES, no, yes)[0], IMAGES[0].flip(1))


@pytest.mark.parametrize(("draw", "shift"), [(0.0, -2), (0.5, 0), (0.9999, 2)])
def test_translation_reaches_an_eighth_and_fills_with_grey(draw, shift):
    out = translate(IMAGES, torch.full((6, 2), draw), 0.125)
    want = torch.zeros_like(IMAGES)
    inside, source = slice(max(shift, 0), 16 + min(shift, 0)), slice(max(-shift, 0), 16 + min(-shift, 0))
    want[:, :, inside, inside] = IMAGES[:, :, source, source]
    assert torch.equal(out, want)


def test_hole_is_square_and_lies_around_its_centre():
    out = cut_out(torch.ones(1, 3, 16, 16), torch.tensor([[0.5, 0.5]]), 0.25)
    want = torch.ones(1, 3, 16, 16)
    want[:, :, 6:10, 6:10] = 0
    assert torch.equal(out, want)


def test_middle_draws_leave_colours_alone():
    torch.testing.assert_close(recolor(IMAGES, torch.full((6, 3), 0.5), 1.0), IMAGES)
    brighter = recolor(IMAGES, torch.tensor([[1.0, 0.5, 0.5]] * 6), 1.0)
    torch.testing.assert_close(brighter, IMAGES + 0.5)
    grey = recolor(IMAGES, torch.tensor([[0.5, 0.0, 0.5]] * 6), 1.0)
    torch.testing.assert_close(grey, IMAGES.mean(dim=1, keepdim=True).expand_as(IMAGES))
