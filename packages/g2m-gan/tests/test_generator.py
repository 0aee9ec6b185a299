import pytest
import torch

from g2m_gan.config import PRESETS, GeneratorSettings
from g2m_gan.generator import Generator, Mapping, freeze_below


def millions(module, *, trainable=False):
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable) / 1e6


def lite(resolution):
    with torch.device("meta"):
        return Generator(GeneratorSettings(), 512, resolution)


def test_lite_network_has_the_published_size():
    assert millions(lite(64)) == pytest.approx(65.51, abs=0.005)
    assert millions(lite(128)) == pytest.approx(72.16, abs=0.005)


@pytest.mark.parametrize(("preset", "expected"), [("paper", 6.64), ("paper-code", 10.20)])
def test_second_stage_trains_as_many_parameters_as_published(preset, expected):
    generator = lite(128)
    rgb_trains = PRESETS[preset].stages[1].trainable == "new-layers-and-rgb"
    freeze_below(generator, 128, rgb_trains=rgb_trains)
    assert millions(generator, trainable=True) == pytest.approx(expected, abs=0.005)


def draws(generator, n=2):
    source = torch.Generator().manual_seed(0)
    z = torch.randn(n, generator.settings.z_dim, generator=source)
    noise = torch.randn(n, sum(generator.noise_counts), generator=source)
    return z, torch.randn(n, generator.condition_dim, generator=source), noise


def test_image_depends_on_noise_vector_condition_and_pixel_noise(micro):
    torch.manual_seed(0)
    generator = Generator(micro.generator, 12, 32)
    for module in generator.modules():
        if hasattr(module, "noise_strength"):
            torch.nn.init.constant_(module.noise_strength, 0.1)
    z, c, noise = draws(generator)
    base = generator(z, c, noise)
    assert base.shape == (2, 3, 32, 32)
    for other in (generator(z.flip(0), c, noise), generator(z, c.flip(0), noise), generator(z, c, noise.flip(0))):
        assert (other - base).abs().max() > 1e-3


def test_a_block_without_residual_layers_only_upsamples():
    generator = Generator(GeneratorSettings(channel_max=8, residual_blocks=0), 4, 16)
    assert generator.noise_counts == [0, 256]
    assert generator(*draws(generator)).shape == (2, 3, 16, 16)


def test_each_sample_is_drawn_alone(micro):
    generator = Generator(micro.generator, 12, 16)
    z, c, noise = draws(generator, n=3)
    torch.testing.assert_close(generator(z, c, noise)[1:2], generator(z[1:2], c[1:2], noise[1:2]))


def test_truncation_pulls_noise_to_its_mean_and_leaves_the_condition():
    mapping = Mapping(GeneratorSettings(z_dim=8), condition_dim=3)
    mapping.mean.copy_(torch.arange(8.0))
    z, c = torch.randn(4, 8), torch.randn(4, 3)
    whole, half, none = (mapping(z, c, psi) for psi in (1.0, 0.5, 0.0))
    torch.testing.assert_close(none[:, :8], torch.arange(8.0).expand(4, 8))
    torch.testing.assert_close(half[:, :8], (whole[:, :8] + none[:, :8]) / 2)
    torch.testing.assert_close(half[:, 8:], c)


def test_mapping_ignores_the_length_of_z():
    mapping = Mapping(GeneratorSettings(z_dim=8), condition_dim=3)
    z = torch.randn(4, 8)
    torch.testing.assert_close(mapping.style(z), mapping.style(7 * z))


def test_running_mean_decays_as_set():
    mapping = Mapping(GeneratorSettings(z_dim=8, truncation_decay=0.9), condition_dim=3)
    mapping.mean.fill_(1.0)
    z = torch.randn(32, 8)
    mapping.track_mean(z)
    torch.testing.assert_close(mapping.mean, 0.9 + 0.1 * mapping.style(z).mean(dim=0).detach())


def test_principal_colours_make_a_map_of_unit_variance_a_plausible_image(micro):
    source = torch.Generator().manual_seed(0)
    stain = torch.randn(64, 1, 64, 64, generator=source) * torch.tensor([10.0, 30.0, 15.0])[:, None, None]
    patches = (stain + torch.tensor([200.0, 120.0, 160.0])[:, None, None]).clamp(0, 255).to(torch.uint8)
    generator = Generator(micro.generator, 12, 16)
    generator.use_colors_of(patches)
    maps = torch.randn(3, 100_000, generator=source)
    colors = (generator.colors @ maps + generator.color_mean[:, None] + 1) * 127.5
    pixels = patches.float().transpose(0, 1).flatten(1)
    torch.testing.assert_close(colors.mean(dim=1), pixels.mean(dim=1), atol=2.0, rtol=0)
    torch.testing.assert_close(torch.cov(colors), torch.cov(pixels), atol=40.0, rtol=0.05)
