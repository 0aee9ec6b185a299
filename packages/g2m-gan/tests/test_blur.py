import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from g2m_gan.blur import blur, blur_matrix, blur_sigma
from g2m_gan.config import BlurSettings


def test_sigma_falls_linearly_with_images_seen():
    settings = BlurSettings(sigma_px=32.0, images=1_000_000)
    assert [blur_sigma(settings, seen) for seen in (0, 500_000, 1_000_000, 9_000_000)] == [32.0, 16.0, 0.0, 0.0]
    assert blur_sigma(BlurSettings(images=0), 0) == 0.0


@given(size=st.integers(2, 40), sigma=st.floats(0.4, 32))
def test_flat_images_stay_flat(size, sigma):
    torch.testing.assert_close(blur_matrix(size, sigma).sum(dim=1), torch.ones(size))


def test_weights_halve_at_sigma_and_end_at_three():
    row = blur_matrix(41, 4.0)[20]
    assert (row[24] / row[20]).item() == pytest.approx(0.5)
    assert row[20 + 12] > 0
    assert row[20 + 13] == 0


def test_no_blur_below_one_pixel():
    images = torch.randn(2, 3, 8, 8)
    assert blur(images, 0.3) is images
    assert blur(images, 0.0) is images


def test_both_axes_are_blurred_alike():
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(blur(images, 2.0).transpose(2, 3), blur(images.transpose(2, 3), 2.0))
    assert blur(images, 2.0).std() < images.std() / 2
