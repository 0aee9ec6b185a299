"""Fréchet and kernel distances equal torch-fidelity's own functions on the same features."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from g2m_eval import FeatureStatistics, frechet_distance, kernel_distance


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
