import pytest
import torch

from g2m_diffusion.codes import Codec, LatentCodec, PixelCodec
from g2m_diffusion.views import read_patches


def patches(n=40, px=16):
    source = torch.Generator().manual_seed(1)
    colour = torch.tensor([200, 120, 180])[:, None, None]
    noise = torch.randint(-50, 51, (n, 3, px, px), generator=source)
    return (colour + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("block", [1, 2, 4])
def test_pixels_come_back(block):
    codec = PixelCodec.fit(patches(), 16, block)
    images = read_patches(patches(), 16)
    codes = codec.encode(images)
    assert codes.shape[1:] == codec.shape == (3 * block**2, 16 // block, 16 // block)
    torch.testing.assert_close(codec.decode(codes), images, atol=1e-6, rtol=0)


def test_codes_of_pixels_have_mean_0_and_unit_variance():
    codes = PixelCodec.fit(patches(), 16, 2).encode(read_patches(patches(), 16))
    by_colour = codes.unflatten(1, (3, 4)).transpose(0, 1).flatten(1)
    assert by_colour.mean(dim=1).abs().max() < 1e-3
    assert by_colour.var(dim=1).mean() == pytest.approx(1, abs=1e-2)


def test_the_scale_is_measured_at_the_resolution_that_is_learned():
    fine, coarse = (PixelCodec.fit(patches(), resolution, 1).deviation for resolution in (16, 8))
    assert coarse < 0.6 * fine  # averaging four independent pixels halves the deviation


def test_one_colour_everywhere_does_not_divide_by_0():
    codec = PixelCodec.fit(torch.full((3, 3, 16, 16), 240, dtype=torch.uint8), 16, 2)
    images = torch.full((3, 3, 16, 16), 240 / 127.5 - 1)
    assert codec.encode(images).abs().max() < 0.1


def test_a_square_of_pixels_becomes_one_place():
    codec = PixelCodec(resolution=4, block=2)
    images = torch.zeros(1, 3, 4, 4)
    images[0, :, 2:, :2] = 1.0
    codes = codec.encode(images)
    assert codes[0, :, 1, 0].tolist() == [1.0] * 12
    assert codes.sum() == 12


@pytest.mark.parametrize(("resolution", "encode_px", "width"), [(16, 0, 8), (16, 32, 16), (32, 16, 8)])
def test_latents_and_images_have_the_widths_asked_for(small_autoencoder, resolution, encode_px, width):
    codec = LatentCodec(autoencoder=small_autoencoder, resolution=resolution, encode_px=encode_px)
    codes = codec.encode(torch.rand(2, 3, resolution, resolution) * 2 - 1)
    assert codes.shape[1:] == codec.shape == (4, width, width)
    assert codec.decode(codes).shape == (2, 3, resolution, resolution)


@pytest.mark.parametrize("shift", [None, 0.25])
def test_latents_are_shifted_and_scaled_as_the_autoencoder_says(small_autoencoder, shift):
    small_autoencoder.register_to_config(scaling_factor=0.5, shift_factor=shift)
    codec = LatentCodec(autoencoder=small_autoencoder, resolution=16)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    mean = small_autoencoder.encode(images).latent_dist.mean
    torch.testing.assert_close(codec.encode(images), (mean - (shift or 0)) * 0.5)
    torch.testing.assert_close(codec.decode(codec.encode(images)), small_autoencoder.decode(mean).sample)


def test_both_are_codecs(small_autoencoder):
    assert isinstance(PixelCodec(resolution=4, block=2), Codec)
    assert isinstance(LatentCodec(autoencoder=small_autoencoder, resolution=16), Codec)
