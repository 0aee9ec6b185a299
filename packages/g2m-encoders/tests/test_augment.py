import pytest
import torch

from g2m_encoders.augment import IMAGE_DRAWS, augment_expression, augment_images
from g2m_encoders.config import AugmentationSettings

NONE = AugmentationSettings(flips=False, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
MIDDLE = torch.full((1, IMAGE_DRAWS), 0.5)  # no flip, every factor 1


def image() -> torch.Tensor:
    return torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8


def draw(**values: float) -> torch.Tensor:
    names = ["flip_x", "flip_y", "turn", "brightness", "contrast", "saturation", "hue", "red", "green", "blue"]
    uniform = MIDDLE.clone()
    for name, value in values.items():
        uniform[0, names.index(name)] = value
    return uniform


def only(**strengths: float) -> AugmentationSettings:
    return AugmentationSettings(
        **({"flips": False, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0} | strengths)
    )


def test_nothing_switched_on_changes_nothing():
    assert torch.equal(augment_images(image(), torch.rand(1, IMAGE_DRAWS), NONE), image())


def test_middle_of_every_range_changes_nothing():
    settings = AugmentationSettings(rotations=True, gain=0.3)
    assert torch.allclose(augment_images(image(), MIDDLE, settings), image(), atol=1e-5)


def test_flips_and_turns_are_those_of_the_square():
    settings = only(flips=True, rotations=True)
    x = image()
    assert torch.equal(augment_images(x, draw(flip_x=0.1), settings), x.flip(-1))
    assert torch.equal(augment_images(x, draw(flip_y=0.1), settings), x.flip(-2))
    assert torch.equal(augment_images(x, draw(flip_x=0.1, turn=0.1), settings), torch.rot90(x, 1, (2, 3)))


def test_brightness_scales_towards_black():
    y = augment_images(image(), draw(brightness=0.25), only(brightness=0.4))
    assert torch.allclose(y + 1, 0.8 * (image() + 1), atol=1e-5)


def test_contrast_pivots_about_the_mean_grey():
    x = image()
    y = augment_images(x, draw(contrast=0.25), only(contrast=0.4))
    grey = (x.mean(dim=(2, 3)) @ torch.tensor([0.299, 0.587, 0.114])).view(1, 1, 1, 1)
    assert torch.allclose(y - grey, 0.8 * (x - grey), atol=1e-4)


@pytest.mark.parametrize("change", ["hue", "saturation"])
def test_colour_changes_keep_grey_and_luma(change):
    settings = only(**{change: 0.1})
    grey = torch.full((1, 3, 2, 2), 0.3)
    assert torch.allclose(augment_images(grey, draw(**{change: 0.9}), settings), grey, atol=1e-4)
    x = image() * 0.5
    y = augment_images(x, draw(**{change: 0.9}), settings)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert torch.allclose((x * luma).sum(1), (y * luma).sum(1), atol=1e-3)
    assert not torch.allclose(x, y, atol=1e-2)


def test_gain_changes_one_channel():
    y = augment_images(image(), draw(red=1.0 - 1e-7), only(gain=0.1))
    assert torch.allclose(y[:, 1:], image()[:, 1:], atol=1e-5)
    assert torch.allclose(y[:, 0] + 1, 1.1 * (image()[:, 0] + 1), atol=1e-4)


def test_result_stays_in_range():
    x = torch.rand(50, 3, 4, 4) * 2 - 1
    y = augment_images(x, torch.rand(50, IMAGE_DRAWS), AugmentationSettings(brightness=0.9, contrast=0.9, gain=0.9))
    assert float(y.abs().max()) <= 1


def test_expression_noise_multiplies_counts():
    x = torch.log1p(torch.tensor([[0.0, 1.0, 10.0]]))
    y = augment_expression(x, torch.tensor([[1.0, 1.0, -1.0]]), None, AugmentationSettings(expression_noise=0.5))
    expected = torch.tensor([[0.0, torch.e**0.5, 10 * torch.e**-0.5]])
    assert torch.allclose(torch.expm1(y), expected, atol=1e-5)


def test_gene_dropout_zeroes_genes_below_its_rate():
    x = torch.ones(1, 3)
    y = augment_expression(x, None, torch.tensor([[0.05, 0.1, 0.9]]), AugmentationSettings(gene_dropout=0.1))
    assert y.tolist() == [[0, 1, 1]]
