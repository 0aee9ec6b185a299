import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from g2m_eval.fidelity.resampling import SpotResamples, weighted_ranks

SECTIONS = np.array(["a"] * 12 + ["b"] * 20)
OWNER = np.repeat(np.arange(32), 2)  # two images a spot


@pytest.fixture(scope="module")
def resampled():
    return SpotResamples(SECTIONS, times=50, seed=3)


def repeated(counts, section):
    """Images of the resample of one section, each as often as its spot was drawn."""
    images = np.flatnonzero(SECTIONS[OWNER] == section)
    return np.repeat(images, counts[OWNER[images]].astype(int))


def naive(correlate, x, y, counts):
    parts, weights = [], []
    for section in ("a", "b"):
        rows = repeated(counts, section)
        parts.append(correlate(x[rows], y[OWNER[rows]])[0])
        weights.append((SECTIONS[OWNER] == section).sum() - 1)
    return np.average(parts, weights=weights)


def test_row_0_is_the_data_and_sections_keep_their_sizes(resampled):
    assert (resampled.counts[0] == 1).all()
    assert (resampled.counts[:, :12].sum(axis=1) == 12).all()
    assert (resampled.counts[:, 12:].sum(axis=1) == 20).all()
    assert (resampled.counts[1:] > 1).any()


def test_correlation_of_every_resample_is_that_of_the_repeated_rows(resampled):
    random = np.random.default_rng(0)
    y = random.standard_normal((32, 3)) + 100
    x = y[OWNER] + random.standard_normal((64, 3))
    found = resampled.pearson(x, y, OWNER)
    for row in (0, 1, 7, 50):
        for gene in range(3):
            expected = naive(pearsonr, x[:, gene], y[:, gene], resampled.counts[row])
            assert found[row, gene] == pytest.approx(expected, abs=1e-4)


def test_rank_correlation_is_scipys_of_the_repeated_rows(resampled):
    random = np.random.default_rng(1)
    y = random.integers(0, 6, 32).astype(float)  # with ties
    x = np.round(y[OWNER] + 2 * random.standard_normal(64))
    found = resampled.spearman(x, y, OWNER)
    assert found.value == pytest.approx(naive(spearmanr, x, y, resampled.counts[0]))
    each = [naive(spearmanr, x, y, counts) for counts in resampled.counts[1:]]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(each, [2.5, 97.5])))


def test_weighted_ranks_are_those_of_repeated_values():
    values = np.array([3.0, 1.0, 3.0, 2.0])
    counts = np.array([[2.0, 0.0, 1.0, 3.0]])
    expected = rankdata(np.repeat(values, counts[0].astype(int)))
    assert weighted_ranks(values, counts)[0, [0, 2, 3]].tolist() == [expected[0], expected[2], expected[3]]


def test_mean_and_balanced_accuracy_leave_out_what_is_not_defined(resampled):
    values = np.where(np.arange(64) % 4 == 0, np.nan, np.arange(64) % 2)
    assert resampled.mean(values, OWNER).value == pytest.approx(np.nanmean(values))
    correct = np.array([True] * 4 + [False] * 4 + [True] * 56)
    group = np.array([0] * 8 + [1] * 56)
    assert resampled.balanced(correct, group, OWNER).value == pytest.approx(0.75)


def test_a_constant_side_has_no_correlation(resampled):
    found = resampled.pearson(np.ones((64, 1)), np.arange(32.0)[:, None], OWNER)
    assert np.isnan(found).all()
    assert np.isnan(resampled.spearman(np.full(64, np.nan), np.arange(32.0), OWNER).value)
