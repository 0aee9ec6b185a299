import numpy as np
import pytest

from g2m_data.errors import InputError
from g2m_data.stain import TARGET_CONCENTRATION, estimate_stain, normalise_stain


def test_stain_of_a_synthetic_section_is_recovered(stained_image):
    stain = estimate_stain(stained_image)
    expected = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
    expected /= np.linalg.norm(expected, axis=0)
    assert (np.sum(stain.stains * expected, axis=0) > 0.97).all()


def test_normalised_image_has_the_targets_concentrations(stained_image):
    normal = normalise_stain(stained_image, estimate_stain(stained_image))
    again = estimate_stain(normal)
    np.testing.assert_allclose(again.concentration, TARGET_CONCENTRATION, rtol=0.12)


def test_two_stainings_of_one_section_become_alike(stained_image):
    pale = np.clip(240 * (stained_image / 240.0) ** 0.6, 0, 255).astype(np.uint8)
    before = np.abs(stained_image.astype(int) - pale).mean()
    a = normalise_stain(stained_image, estimate_stain(stained_image))
    b = normalise_stain(pale, estimate_stain(pale))
    assert np.abs(a.astype(int) - b).mean() < 0.2 * before


@pytest.mark.parametrize("level", [0, 128, 240, 255])
def test_blank_tile_is_rendered_and_never_crashes(stained_image, level):
    tile = np.full((64, 64, 3), level, np.uint8)
    normal = normalise_stain(tile, estimate_stain(stained_image))
    assert normal.dtype == np.uint8
    assert normal.shape == tile.shape
    if level >= 240:
        assert normal.min() > 225


@pytest.mark.parametrize("level", [0, 100, 255])
def test_slide_without_two_stains_is_refused(level):
    with pytest.raises(InputError, match=r"no stained tissue|two stains"):
        estimate_stain(np.full((200, 200, 3), level, np.uint8))
