import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_gan.config import DiscriminatorSettings
from g2m_gan.discriminator import BatchNormLocal, Discriminator, SpectralConv, add_pixels, feature_shapes
from g2m_gan.errors import InputError

VIT = [(196, 384)] * 5


def test_heads_over_a_small_vit_have_the_published_size_and_980_logits():
    with torch.device("meta"):
        heads = Discriminator(DiscriminatorSettings(), VIT, 512)
    assert sum(p.numel() for p in heads.parameters()) / 1e6 == pytest.approx(7.67, abs=0.005)
    small = Discriminator(DiscriminatorSettings(), [(196, 4)] * 5, 6)
    logits = small([torch.randn(8, 196, 4)] * 5, torch.randn(8, 6))
    assert sum(x.shape[1] for x in logits) == 980


@settings(max_examples=20, deadline=None)
@given(groups=st.integers(1, 4), channels=st.integers(1, 5), positions=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_batch_is_normalised_like_its_groups_of_eight(groups, channels, positions, seed):
    x = torch.randn(8 * groups, channels, positions, generator=torch.Generator().manual_seed(seed))
    norm = BatchNormLocal(channels, 8)
    torch.testing.assert_close(norm(x), torch.cat([norm(part) for part in x.split(8)]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(24, 5, 7), (16, 3, 4, 6), (8, 2, 3), (3, 2, 5)])
def test_all_groups_at_once_are_normalised_like_each(shape):
    x = (torch.randn(shape) * 3 + 1).requires_grad_()
    norm = BatchNormLocal(shape[1], 8)
    torch.nn.init.uniform_(norm.weight)
    torch.nn.init.uniform_(norm.bias)
    found = []
    for normalise in (norm, lambda x: norm._all_at_once(x, min(8, len(x)))):
        normalised = normalise(x)
        gradients = torch.autograd.grad(normalised.sin().sum(), [x, norm.weight, norm.bias])
        found.append([normalised, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_normalisation_equals_batch_norm_within_a_group():
    x = torch.randn(8, 3, 4, 4) * 3 + 1
    want = torch.nn.functional.batch_norm(x, None, None, training=True)
    torch.testing.assert_close(BatchNormLocal(3, 8)(x), want, atol=1e-5, rtol=1e-5)


def test_an_incomplete_group_is_refused():
    with pytest.raises(InputError, match="multiple of 8"):
        BatchNormLocal(3, 8)(torch.randn(12, 3, 4))


@pytest.mark.parametrize("axes", [1, 2])
def test_largest_singular_value_becomes_one_and_size_stays(axes):
    conv = SpectralConv(axes, 6, 5, 3)
    for _ in range(50):
        conv.refresh()
    norm = conv.u @ conv.weight.flatten(1) @ conv.v
    singular = torch.linalg.svdvals((conv.weight / norm).flatten(1))
    assert singular[0].item() == pytest.approx(1.0, abs=1e-3)
    x = torch.randn(2, 6, *[7] * axes)
    assert conv(x).shape == (2, 5, *[7] * axes)


def test_scoring_leaves_no_trace():
    conv = SpectralConv(1, 4, 4, 9, padding="circular")
    before = {name: value.clone() for name, value in conv.state_dict().items()}
    conv(torch.randn(2, 4, 16))
    for name, value in conv.state_dict().items():
        assert torch.equal(value, before[name])


def test_token_convolution_closes_the_sequence_to_a_ring():
    conv = SpectralConv(1, 4, 4, 9, padding="circular")
    x = torch.randn(2, 4, 16)
    torch.testing.assert_close(conv(x.roll(5, dims=2)), conv(x).roll(5, dims=2))


def test_logits_are_the_projection_of_features_on_the_condition():
    heads = Discriminator(DiscriminatorSettings(projection_dim=4), [(10, 6), (6, 4, 4)], 3)
    features = [torch.randn(8, 10, 6), torch.randn(8, 6, 4, 4)]
    for head in heads.heads:
        torch.nn.init.zeros_(head.project.bias)
    c = torch.randn(8, 3)
    tokens, maps = heads(features, c)
    assert tokens.shape == (8, 10)
    assert maps.shape == (8, 16)
    for twice, once in zip(heads(features, 2 * c), (tokens, maps), strict=True):
        torch.testing.assert_close(twice, 2 * once)


def test_further_conditions_are_compared_with_the_first_samples_again():
    heads = Discriminator(DiscriminatorSettings(), [(6, 4, 4)], 3)
    features, c, other = [torch.randn(16, 6, 4, 4)], torch.randn(16, 3), torch.randn(8, 3)
    both = heads(features, torch.cat([c, other]))[0]
    torch.testing.assert_close(both[:16], heads(features, c)[0])
    torch.testing.assert_close(both[16:], heads(features, torch.cat([other, c[8:]]))[0][:8])


def test_feature_networks_of_another_kind_are_refused(small_features):
    settings = DiscriminatorSettings(feature_px=0)
    assert feature_shapes(small_features, settings, 32) == [(8, 8, 8), (16, 4, 4), (16, 16)]
    assert feature_shapes(small_features, DiscriminatorSettings(feature_px=64), 32)[0] == (8, 16, 16)
    with pytest.raises(InputError, match="feature_network gave Tensor"):
        feature_shapes(torch.nn.Conv2d(3, 4, 3), settings, 32)


def test_pixels_are_one_more_set_of_features(small_features):
    settings = DiscriminatorSettings(feature_px=0, pixel_cell=4)
    assert feature_shapes(small_features, settings, 32)[-1] == (48, 8, 8)
    image = torch.randn(1, 3, 32, 32)
    cells = add_pixels([], image, settings)[0]
    torch.testing.assert_close(cells[0, :16, 2, 1].reshape(4, 4), image[0, 0, 8:12, 4:8])


def test_heads_for_chosen_levels_only():
    shapes = [(6, 4, 4), (10, 2, 2)]
    heads = Discriminator(DiscriminatorSettings(levels=(1,)), shapes, 3)
    logits = heads([torch.randn(8, *shape) for shape in shapes], torch.randn(8, 3))
    assert [tuple(x.shape) for x in logits] == [(8, 4)]
    with pytest.raises(InputError, match=r"discriminator\.levels"):
        Discriminator(DiscriminatorSettings(levels=(2,)), shapes, 3)
