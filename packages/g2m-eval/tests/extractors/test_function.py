import numpy as np
import pytest
import torch

from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Extractor
from g2m_eval.extractors.function import FunctionExtractor

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)


def mean_colour(images):
    return images.mean(axis=(1, 2))


def test_the_function_sees_uint8_images_in_batches_and_rows_keep_their_order():
    seen = []

    def function(images):
        seen.append((images.dtype, images.shape))
        return mean_colour(images)

    extractor = FunctionExtractor("mean colour", function, batch_size=3)
    assert isinstance(extractor, Extractor)
    found = extractor.features(IMAGES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mean_colour(IMAGES), rtol=1e-6)
    assert seen == [(np.uint8, (n, 4, 5, 3)) for n in (3, 3, 1)]


def test_tensors_of_any_precision_are_taken():
    extractor = FunctionExtractor("half", lambda images: torch.from_numpy(mean_colour(images)).bfloat16())
    np.testing.assert_allclose(extractor.features(IMAGES), mean_colour(IMAGES), rtol=1e-2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images: images.mean(axis=1), r"shape \(4, 5, 3\) for 4 images"),
        (lambda images: mean_colour(images)[:1], r"shape \(1, 3\) for 4 images"),
        (lambda images: mean_colour(images) * np.nan, "NaN or infinity"),
        (lambda images: {"features": images}, "returned dict"),
        (lambda images: np.ones((len(images), len(images))), "different lengths"),
    ],
)
def test_what_is_no_row_of_finite_numbers_a_patch_is_one_line(function, message):
    with pytest.raises(InputError, match=message):
        FunctionExtractor("broken", function, batch_size=4).features(IMAGES)
