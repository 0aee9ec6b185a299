"""The phantom is an exam: mean colour alone must not pass it."""

import numpy as np
import pytest

from g2m_data import open_dataset
from g2m_data.build import build_dataset
from g2m_data.simulate import simulate_study


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_mean_colour_does_not_tell_regions_but_genes_do(tmp_path, seed):
    manifest = simulate_study(tmp_path / "study", preset="demo", seed=seed)
    build_dataset(manifest, tmp_path / "dataset")
    dataset = open_dataset(tmp_path / "dataset")
    truth = dataset.truth()
    test = (dataset.obs["split"] == "test").to_numpy()
    pure = (truth["purity"] >= 0.9).to_numpy()
    regions, region = np.unique(truth["region"].to_numpy(str), return_inverse=True)
    rng = np.random.default_rng(0)
    fit = np.concatenate(
        [rng.permutation(np.flatnonzero(pure & ~test & (region == code)))[:800] for code in range(len(regions))]
    )
    score = np.flatnonzero(pure & test)

    samples = dataset.obs["sample"].to_numpy(str)
    for sample in np.unique(samples[test]):
        per_region = np.bincount(region[score][samples[score] == sample], minlength=len(regions))
        assert per_region.min() >= 15

    # 25 nearest neighbours in mean RGB, equally many of each region
    train, asked = (dataset.patches(index).reshape(len(index), -1, 3).mean(axis=1) for index in (fit, score))
    scale = train.std(axis=0)
    distance = ((asked[:, None] / scale - train[None] / scale) ** 2).sum(axis=-1)
    neighbours = region[fit][np.argpartition(distance, 25, axis=1)[:, :25]]
    votes = np.stack([(neighbours == code).sum(axis=1) for code in range(len(regions))], axis=1).argmax(axis=1)
    assert balanced_accuracy(region[score], votes) <= 0.6

    expression, asked = dataset.expression(fit), dataset.expression(score)
    centres = np.stack([expression[region[fit] == code].mean(axis=0) for code in range(len(regions))])
    nearest = ((asked**2).sum(axis=1)[:, None] - 2 * asked @ centres.T + (centres**2).sum(axis=1)).argmin(axis=1)
    assert balanced_accuracy(region[score], nearest) >= 0.97


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([(predicted[truth == code] == code).mean() for code in np.unique(truth)]))
