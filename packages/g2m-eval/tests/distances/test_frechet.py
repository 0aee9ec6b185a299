import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from g2m_eval.distances.frechet import FeatureStatistics, frechet_distance
from g2m_eval.errors import InputError


def scipy_reference(a, b):
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = a.mean(axis=0) - b.mean(axis=0)
    return shift @ shift + np.trace(s1) + np.trace(s2) - 2 * np.trace(linalg.sqrtm(s1 @ s2)).real


@pytest.mark.filterwarnings("ignore:Matrix is singular")
@pytest.mark.parametrize("count", [2**k for k in range(1, 16, 2)])
def test_gaussian_cases_agree_with_scipy_and_are_finite_also_with_fewer_images_than_dimensions(count):
    random = np.random.RandomState(2023)
    for dim in (2, 4, 16, 64, 256):
        a, b = random.randn(count, dim), random.randn(count, dim) * 1.3 + 0.5
        distance = frechet_distance(a, b)
        assert np.isfinite(distance)
        # scipy's square root of a singular product is itself only good to 1e-7 of the traces
        tolerance = 1e-5 if count > dim else 1e-6 * dim
        assert distance == pytest.approx(scipy_reference(a, b), abs=tolerance)


def test_four_points_in_four_dimensions_where_a_real_square_root_gives_nan():
    random = np.random.RandomState(1)
    assert np.isfinite(frechet_distance(random.randn(4, 4), random.randn(4, 4)))


def test_distance_between_known_gaussians():
    """Diagonal covariances: |m|² + sum (s1 - s2)², exactly."""
    cloud = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    a, b = cloud * [1.0, 2.0], cloud * [3.0, 1.0] + [5.0, 0.0]
    scale = 4 / 3  # unbiased variance of ±1
    assert frechet_distance(a, b) == pytest.approx(25 + scale * ((1 - 3) ** 2 + (2 - 1) ** 2))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 12))
def test_distance_is_symmetric_not_negative_and_zero_to_itself(seed, count, dim):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((count, dim)), random.standard_normal((count + 3, dim)) * 2 + 1
    forward = frechet_distance(a, b)
    assert forward >= 0
    assert forward == pytest.approx(frechet_distance(b, a), rel=1e-9, abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_statistics_do_not_depend_on_how_features_are_cut_into_batches(seed, cuts):
    random = np.random.default_rng(seed)
    features = random.standard_normal((sum(cuts) + 2, 5)).astype(np.float32) + 1000
    streamed = FeatureStatistics()
    for part in np.split(features, np.cumsum(cuts)):
        streamed.update(part)
    assert streamed.count == len(features)
    np.testing.assert_allclose(streamed.mean, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(streamed.covariance, np.cov(features.astype(np.float64), rowvar=False), atol=1e-9)


def test_merging_leaves_both_operands_as_they_were():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((20, 3)), random.standard_normal((30, 3)) + 2
    first, second = FeatureStatistics.of(a), FeatureStatistics.of(b)
    merged = first.merge(second)
    assert (first.count, second.count, merged.count) == (20, 30, 50)
    np.testing.assert_allclose(merged.covariance, np.cov(np.concatenate([a, b]), rowvar=False))
    np.testing.assert_allclose(first.covariance, np.cov(a, rowvar=False))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((1, 3)), np.ones((5, 3)), "at least 2 images"),
        (np.ones((5, 3)), np.ones((5, 4)), "3 and 4 dimensions"),
        (np.full((5, 3), np.nan), np.ones((5, 3)), "NaN"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(a, b)
