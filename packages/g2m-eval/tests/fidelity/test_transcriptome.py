import numpy as np
import pytest
from sklearn.linear_model import Ridge

from g2m_eval.blocks import BESIDE
from g2m_eval.errors import InputError
from g2m_eval.fidelity.regressor import fit_regressor
from g2m_eval.fidelity.resampling import SpotResamples
from g2m_eval.fidelity.transcriptome import score_transcriptome

KINDS = ("real", "generated", "shuffled")


@pytest.fixture(scope="module")
def pairs():
    """Features that tell the first 20 of 40 genes, with noise; 600 training pairs and 200 spots of two sections."""
    random = np.random.default_rng(0)
    weights = np.concatenate([random.standard_normal((12, 20)), np.zeros((12, 20))], axis=1)

    def draw(n):
        x = random.standard_normal((n, 12)).astype(np.float32)
        return x, (2 + x @ weights + 2 * random.standard_normal((n, 40))).astype(np.float32)

    return draw(600), draw(200)


@pytest.fixture(scope="module")
def fitted(pairs):
    (x, y), _ = pairs
    blocks = np.where(np.arange(600) % 10 == 0, BESIDE, np.arange(600) // 150)
    return fit_regressor(x, lambda rows: y[rows], blocks), blocks


def test_coefficients_are_those_of_sklearns_ridge(pairs, fitted):
    (x, y), (test, _) = pairs
    regressor, _ = fitted
    z = (x - regressor.mean) / regressor.scale
    other = Ridge(alpha=regressor.penalty * 600).fit(z, y)
    found = regressor.predict(test, np.arange(40))
    np.testing.assert_allclose(found, other.predict((test - regressor.mean) / regressor.scale), atol=1e-4)


def test_held_out_correlation_is_that_of_blocks_predicted_from_the_others(pairs, fitted):
    (x, y), _ = pairs
    regressor, blocks = fitted
    z = (x - regressor.mean) / regressor.scale
    predicted = np.zeros_like(y)
    for block in range(4):
        others = (blocks != block) & (blocks != BESIDE)
        model = Ridge(alpha=regressor.penalty * others.sum()).fit(z[others], y[others])
        predicted[blocks == block] = model.predict(z[blocks == block])
    inside = blocks != BESIDE
    expected = [np.corrcoef(predicted[inside, g], y[inside, g])[0, 1] for g in range(40)]
    np.testing.assert_allclose(regressor.held_out, expected, atol=1e-4)


def test_a_strong_penalty_is_chosen_where_features_say_nothing():
    random = np.random.default_rng(1)
    x, y = random.standard_normal((80, 40)), random.standard_normal((80, 5)).astype(np.float32)
    blocks = np.arange(80) // 20
    assert fit_regressor(x, lambda rows: y[rows], blocks).penalty >= 10


def test_genes_are_chosen_on_training_pairs_and_the_share_is_of_real_patches(pairs, fitted):
    _, (x, y) = pairs
    regressor, _ = fitted
    random = np.random.default_rng(2)
    features = {"real": x, "generated": (x + random.standard_normal(x.shape)).astype(np.float32), "shuffled": x[::-1]}
    resampled = SpotResamples(np.repeat(["a", "b"], 100), times=200)
    owners = dict.fromkeys(KINDS, np.arange(200))
    scores = score_transcriptome(
        regressor, features, owners, lambda rows: y[rows], resampled, [f"g{i}" for i in range(40)]
    )
    assert set(scores.genes["gene"]) <= {f"g{i}" for i in range(20)}
    assert len(scores.genes) > 10
    assert scores.means["real"].low > scores.means["generated"].high
    assert scores.means["generated"].low > scores.means["shuffled"].high
    assert scores.means["shuffled"].low < 0 < scores.means["shuffled"].high
    assert scores.share.value == pytest.approx(scores.means["generated"].value / scores.means["real"].value)
    assert scores.share.low < scores.share.value < scores.share.high
    first = scores.genes.iloc[0]
    gene = int(first["gene"][1:])
    within = [np.corrcoef(regressor.predict(x, np.array([gene]))[part, 0], y[part, gene])[0, 1]
              for part in (slice(100), slice(100, 200))]  # fmt: skip
    assert first["real"] == pytest.approx(np.mean(within), abs=1e-4)


def test_several_images_of_a_spot_score_as_one_would(pairs, fitted):
    _, (x, y) = pairs
    regressor, _ = fitted
    resampled = SpotResamples(["a"] * 200, times=20)
    one = dict.fromkeys(KINDS, np.arange(200))
    two = one | {"generated": np.repeat(np.arange(200), 2)}
    arguments = (lambda rows: y[rows], resampled, [str(i) for i in range(40)])
    once = score_transcriptome(regressor, dict.fromkeys(KINDS, x), one, *arguments)
    twice = score_transcriptome(
        regressor, dict.fromkeys(KINDS, x) | {"generated": np.repeat(x, 2, axis=0)}, two, *arguments
    )
    assert twice.means["generated"].value == pytest.approx(once.means["generated"].value, abs=1e-5)
    assert twice.means["generated"].low == pytest.approx(once.means["generated"].low, abs=1e-5)


def test_no_predictable_gene_is_not_a_number(pairs, fitted):
    _, (x, y) = pairs
    scores = score_transcriptome(
        fitted[0], dict.fromkeys(KINDS, x), dict.fromkeys(KINDS, np.arange(200)), lambda rows: y[rows],
        SpotResamples(["a"] * 200, times=5), [str(i) for i in range(40)], least=0.999,
    )  # fmt: skip
    assert np.isnan(scores.share.value)
    assert len(scores.genes) == 0


def test_pairs_without_blocks_are_refused():
    with pytest.raises(InputError, match="two or more blocks"):
        fit_regressor(np.ones((4, 2)), lambda rows: np.ones((len(rows), 3)), np.array([0, 0, BESIDE, BESIDE]))
    with pytest.raises(InputError, match="a block for each of 4"):
        fit_regressor(np.ones((4, 2)), lambda rows: np.ones((len(rows), 3)), np.zeros(3, dtype=np.int64))
