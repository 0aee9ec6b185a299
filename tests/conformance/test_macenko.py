"""g2m_data.stain against torchstain's numpy version (MIT), the reference for Macenko normalisation."""

import numpy as np
import pytest

from g2m_data.stain import estimate_stain, normalise_stain

numpy_macenko = pytest.importorskip("torchstain.numpy.normalizers.macenko", reason="torchstain is not installed")


def section(seed: int, haematoxylin: float, eosin: float) -> np.ndarray:
    """A picture of two stains, part of it glass."""
    rng = np.random.default_rng(seed)
    stains = np.array([[0.65, 0.22], [0.70, 0.85], [0.29, 0.35]])
    amount = rng.gamma(2.0, 0.3, (2, 150, 180)) * np.array([haematoxylin, eosin])[:, None, None]
    amount[:, :30] = 0
    light = np.clip(240 * np.exp(-np.tensordot(stains, amount, axes=1)), 0, 255)
    return light.astype(np.uint8).transpose(1, 2, 0).copy()


@pytest.mark.parametrize(("seed", "haematoxylin", "eosin"), [(0, 1.0, 1.0), (1, 0.6, 1.4), (2, 1.6, 0.7)])
def test_image_normalised_by_its_own_estimate_equals_torchstain(seed, haematoxylin, eosin):
    image = section(seed, haematoxylin, eosin)
    expected, _, _ = numpy_macenko.NumpyMacenkoNormalizer().normalize(I=image, stains=False)
    found = normalise_stain(image, estimate_stain(image))
    assert np.abs(found.astype(int) - expected).max() <= 1  # torchstain truncates where we round


def test_estimate_equals_torchstains():
    image = section(3, 1.0, 1.0)
    reference = numpy_macenko.NumpyMacenkoNormalizer()
    reference.fit(image)
    found = estimate_stain(image)
    np.testing.assert_allclose(found.stains, reference.HERef, atol=1e-9)
    np.testing.assert_allclose(found.concentration, reference.maxCRef, rtol=1e-9)
