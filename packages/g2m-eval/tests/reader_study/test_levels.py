"""How often pixels are as dark or as bright as can be tells generated images from real ones no more."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from g2m_eval.reader_study.levels import MOST_CUT, clip_levels, common_levels


@pytest.fixture
def images():
    """Lumina and nuclei of any size. Real ones have grain, around 236 and 20; generated ones are flat: 255 and 0."""
    generator = np.random.default_rng(0)
    images = generator.normal(130, 25, (120, 20, 20, 3))
    generated = np.arange(120) >= 60
    for image, drawn in zip(images, generated, strict=True):
        white, dark = generator.integers(1, 9, 2)
        image[:white] = 300 if drawn else generator.normal(236, 3, (white, 20, 3))
        image[20 - dark :] = -40 if drawn else generator.normal(20, 3, (dark, 20, 3))
    return images.round().clip(0, 255).astype(np.uint8), generated


def told(images, generated, *, low, high):
    """Area under the ROC curve, folded to 0.5 ... 1, of the share of an image's values between two levels."""
    area = roc_auc_score(generated, ((images >= low) & (images <= high)).mean(axis=(1, 2, 3)))
    return max(area, 1 - area)


def test_extreme_pixels_tell_all_before_and_little_after(images):
    patches, generated = images
    assert told(patches, generated, low=255, high=255) == 1
    assert told(patches, generated, low=0, high=0) == 1
    levels = common_levels(patches, generated)
    clipped = clip_levels(patches, levels)
    for channel, (low, high) in enumerate(levels):
        part = clipped[..., channel : channel + 1]
        assert (part.min(), part.max()) == (low, high)
        for first, last in ((low, low), (low + 1, low + 4), (high, high), (high - 4, high - 1)):
            assert told(part, generated, low=first, high=last) < 0.65
    assert told(clipped, generated, low=255, high=255) == 0.5


def test_what_tells_nothing_is_left_alone():
    images = np.random.default_rng(0).integers(60, 200, (12, 8, 8, 3), dtype=np.uint8)
    levels = common_levels(images, np.arange(12) % 2 == 0)
    assert levels == ((0, 255),) * 3
    assert np.array_equal(clip_levels(images, levels), images)


def test_no_more_is_cut_than_allowed():
    dark, bright = np.full((4, 8, 8, 3), 90, dtype=np.uint8), np.full((4, 8, 8, 3), 255, dtype=np.uint8)
    levels = common_levels(np.concatenate([dark, bright]), np.arange(8) >= 4)
    assert all(low <= MOST_CUT and high >= 255 - MOST_CUT for low, high in levels)
