import math

import pytest
import torch
from torch.nn import functional

from g2m_gan.layers import EqualLinear, FourierInput, ModulatedConv, ResidualConv, SecondOrderStyle, ToRGB, upsample


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("up", [False, True])
def test_scaling_activations_equals_a_convolution_with_each_samples_own_weights(up):
    conv = ModulatedConv(5, 7, w_dim=6, up=up, gain=0.5)
    torch.nn.init.normal_(conv.noise_strength)
    torch.nn.init.normal_(conv.bias)
    x, w = torch.randn(3, 5, 8, 8), torch.randn(3, 6)
    noise = torch.randn(3, 1, 16 if up else 8, 16 if up else 8)
    for index, got in enumerate(conv(x, w, noise)):
        weight = conv.weight * conv.style(w)[index][None, :, None, None] / math.sqrt(5 * 9)
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        sample = x[index : index + 1]
        if up:
            # zeros between the pixels, convolve, low-pass [1, 3, 3, 1]
            spread = torch.zeros(1, 5, 17, 17)
            spread[:, :, 1:16:2, 1:16:2] = sample
            spread = functional.pad(spread, (0, 1, 0, 1))
            wide = functional.conv2d(functional.pad(spread[:, :, :17, :17], (1, 1, 1, 1)), weight.flip(2, 3))
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            kernel = (torch.outer(taps, taps) / 16).expand(7, 1, 4, 4)
            want = functional.conv2d(wide, kernel, padding=1, groups=7)
        else:
            want = functional.conv2d(sample, weight, padding=1)
        want = want + noise[index] * conv.noise_strength + conv.bias[:, None, None]
        want = functional.leaky_relu(want, 0.2) * math.sqrt(2) * 0.5
        torch.testing.assert_close(got[None], want, atol=1e-5, rtol=1e-5)


def test_demodulated_outputs_have_unit_scale_whatever_the_style():
    conv = ModulatedConv(64, 64, w_dim=8)
    x, w = torch.randn(4, 64, 32, 32), 5 * torch.randn(4, 8)
    out = conv(x, w, torch.zeros(4, 1, 32, 32))
    assert out.square().mean().item() == pytest.approx(1.04, abs=0.1)  # leaky rectifier with gain sqrt 2: 1 + 0.2^2


def test_style_is_of_second_order_and_starts_at_two():
    style = SecondOrderStyle(w_dim=3, channels=4)
    torch.testing.assert_close(style(torch.zeros(1, 3)), torch.full((1, 4), 2.0))
    w = torch.randn(2, 3)
    m1, m2, m3 = style.affine(w).chunk(3, dim=1)
    torch.testing.assert_close(style(w), m1 * m2 + m3)


def test_upsampling_filter_agrees_with_bilinear_interpolation_inside():
    conv = ModulatedConv(1, 1, w_dim=1, up=True)
    x = torch.rand(1, 1, 8, 8)
    delta = torch.zeros(1, 1, 3, 3)
    delta[0, 0, 1, 1] = 1
    spread = functional.conv_transpose2d(x, delta, stride=2)
    torch.testing.assert_close(conv.filter(spread)[..., 2:-2, 2:-2], upsample(x)[..., 2:-2, 2:-2])


def test_upsampling_keeps_a_flat_image_flat():
    torch.testing.assert_close(upsample(torch.full((1, 3, 4, 4), 0.3)), torch.full((1, 3, 8, 8), 0.3))


def test_clamp_bounds_activations():
    conv = ModulatedConv(4, 4, w_dim=2, gain=0.5, clamp=1.0)
    out = conv(100 * torch.randn(1, 4, 8, 8), torch.randn(1, 2), torch.zeros(1, 1, 8, 8))
    assert out.abs().max().item() == pytest.approx(0.5)


def test_residual_branch_hardly_counts_at_the_start():
    layer = ResidualConv(8, w_dim=3, groups=4, layer_scale=1e-5)
    x = torch.randn(2, 8, 8, 8)
    out = layer(x, torch.randn(2, 3), torch.zeros(2, 1, 8, 8))
    torch.testing.assert_close(out, x * math.sqrt(2), atol=2e-4, rtol=0)
    assert (out - x * math.sqrt(2)).abs().max() > 0


def test_rgb_is_linear_in_the_features():
    layer = ToRGB(6, w_dim=3)
    x, w = torch.randn(2, 6, 4, 4), torch.randn(2, 3)
    torch.testing.assert_close(layer(3 * x, w), 3 * layer(x, w))  # bias 0 at the start, no demodulation


def test_fourier_input_starts_at_identity_and_turns_with_w():
    layer = FourierInput(16, 8, w_dim=3, bandwidth=2.0)
    first, second = layer(torch.randn(2, 3))
    torch.testing.assert_close(first, second)
    assert torch.linalg.vector_norm(layer.frequencies, dim=1).max() <= 2.0
    with torch.no_grad():
        layer.affine.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))  # a quarter turn
    torch.testing.assert_close(layer(torch.zeros(1, 3))[0], first.rot90(1, dims=(1, 2)), atol=1e-5, rtol=1e-5)


def test_equal_linear_learns_at_its_own_rate():
    fast, slow = EqualLinear(4, 4), EqualLinear(4, 4, lr_multiplier=0.01)
    x = torch.randn(512, 4)
    assert slow(x).std().item() == pytest.approx(fast(x).std().item(), rel=0.5)
    for layer in (fast, slow):
        before = layer(x).detach()
        with torch.no_grad():
            layer.weight.add_(1.0)
        layer.moved = (layer(x) - before).abs().mean().item()
    assert slow.moved == pytest.approx(0.01 * fast.moved, rel=1e-3)
