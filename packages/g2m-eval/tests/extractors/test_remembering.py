"""A report looks at each image once."""

import numpy as np
import pytest

from g2m_eval.extractors.base import Extractor
from g2m_eval.extractors.remembering import RememberingExtractor
from g2m_eval.extractors.training import train_extractor

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 24, 24, 3), dtype=np.uint8)


class Counting:
    """Notes how many images each call looked at."""

    name, resolution, classes = "counting", 24, ("b", "longer")

    def __init__(self):
        self.looked = []

    def features(self, images):
        self.looked.append(len(images))
        return images.mean(axis=(1, 2)).astype(np.float32)

    def predict(self, images):
        self.looked.append(len(images))
        return np.where(images[:, 0, 0, 0] > 128, "longer", "b")


@pytest.fixture
def counting():
    return Counting()


def test_images_seen_before_are_not_looked_at_again(counting):
    remembering = RememberingExtractor(counting)
    whole = remembering.features(IMAGES)
    mixed = remembering.features(np.concatenate([IMAGES[3:6], 255 - IMAGES[:2]]))
    again = remembering.features(IMAGES[::-1])
    assert counting.looked == [9, 2, 0]
    np.testing.assert_array_equal(mixed[:3], whole[3:6])
    np.testing.assert_array_equal(mixed[3:], counting.features(255 - IMAGES[:2]))
    np.testing.assert_array_equal(again, whole[::-1])


def test_regions_are_remembered_apart_from_features_and_whole(counting):
    remembering = RememberingExtractor(counting)
    short = IMAGES.copy()
    short[:, 0, 0, 0] = 0
    assert set(remembering.predict(short)) == {"b"}
    remembering.features(IMAGES)
    both = np.concatenate([short, IMAGES])
    assert remembering.predict(both).tolist() == counting.predict(both).tolist()


def test_no_more_is_remembered_than_asked(counting):
    remembering = RememberingExtractor(counting, most=4)
    for _ in range(2):
        np.testing.assert_array_equal(remembering.features(IMAGES), IMAGES.mean(axis=(1, 2)).astype(np.float32))
    assert counting.looked == [9, 5]


def test_an_image_of_another_shape_is_another_image(counting):
    remembering = RememberingExtractor(counting)
    remembering.features(IMAGES)
    remembering.features(IMAGES.reshape(9, 12, 48, 3))
    assert counting.looked == [9, 9]


def test_the_metrics_network_says_the_same_with_and_without_a_memory():
    extractor = train_extractor(IMAGES, ["a", "b", "a"] * 3, resolution=24, steps=2, batch_size=4)
    remembering = RememberingExtractor(extractor)
    remembering.features(IMAGES[:4])
    np.testing.assert_allclose(remembering.features(IMAGES), extractor.features(IMAGES), rtol=1e-4, atol=1e-5)
    assert remembering.predict(IMAGES).tolist() == extractor.predict(IMAGES).tolist()
    assert remembering.features(IMAGES[:0]).shape == extractor.features(IMAGES[:0]).shape
    assert (remembering.name, remembering.resolution, remembering.classes) == (extractor.name, 24, ("a", "b"))
    assert isinstance(remembering, Extractor)
