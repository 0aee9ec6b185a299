"""Distances, precision and recall equal torch-fidelity's own functions on the same features, scipy's on Gaussians."""

import numpy as np
import pytest
import torch
from scipy import linalg
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from g2m_eval import FeatureStatistics, frechet_distance, kernel_distance
from g2m_eval.distances.manifold import precision, recall


def random_features(n, dim, seed, shift):
    """Correlated, skewed and positive, as features after a ReLU are."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((dim, dim)) / np.sqrt(dim)
    return np.maximum(random.standard_normal((n, dim)) @ mixing + shift, 0)


@pytest.mark.parametrize(("n_a", "n_b", "dim"), [(400, 300, 64), (900, 1000, 256), (60, 80, 128), (600, 700, 512)])
def test_frechet_distance_equals_torch_fidelity(n_a, n_b, dim):
    a, b = random_features(n_a, dim, 0, 0.1), random_features(n_b, dim, 1, 0.4)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(torch.from_numpy(a)), fid_features_to_statistics(torch.from_numpy(b)), verbose=False
    )[KEY_METRIC_FID]
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)
    streamed = FeatureStatistics()
    for part in np.array_split(a, 7):
        streamed.update(part)
    assert frechet_distance(streamed, b) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("n_a", "n_b", "dim", "size"), [(400, 300, 64, 100), (600, 700, 256, 500)])
def test_kernel_distance_equals_torch_fidelity_on_the_same_subsets(n_a, n_b, dim, size):
    a, b = random_features(n_a, dim, 2, 0.1), random_features(n_b, dim, 3, 0.3)
    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=20, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    ours = kernel_distance(a, b, subsets=20, subset_size=size, seed=2020)
    assert ours.mean == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-6)
    assert ours.sd == pytest.approx(theirs[KEY_METRIC_KID_STD], rel=1e-6)


@pytest.mark.parametrize("neighbours", [3, 5])
def test_precision_and_recall_equal_torch_fidelity(neighbours):
    real, generated = random_features(500, 32, 4, 0.2), random_features(400, 32, 5, 0.25) * 0.9
    theirs = prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=neighbours, prc_batch_size=64,
        verbose=False,
    )  # fmt: skip
    assert 0 < theirs[KEY_METRIC_PRECISION] < 1
    assert precision(real, generated, neighbours=neighbours) == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert recall(real, generated, neighbours=neighbours) == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)


@pytest.mark.filterwarnings("ignore:Matrix is singular")
@pytest.mark.parametrize("dim", [2**k for k in range(1, 9)])
def test_gaussians_of_every_size_agree_with_scipy_to_five_places(dim):
    """RandomState(2023), N = 2 to 32,768, 2 to 256 dimensions; with fewer images than dimensions scipy's own root of a
    singular product is only good to 1e-6 of the traces."""
    for count in (2**k for k in range(1, 16)):
        random = np.random.RandomState(2023)
        a, b = random.randn(count, dim), random.randn(count, dim)
        s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        shift = a.mean(axis=0) - b.mean(axis=0)
        root = linalg.sqrtm(s1 @ s2)
        expected = shift @ shift + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real
        found = frechet_distance(a, b)
        assert np.isfinite(found)
        assert found == pytest.approx(expected, abs=1e-5 if count > dim else 1e-6 * dim), count
