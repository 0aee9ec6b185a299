"""What counts as true of a phantom's genes."""

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest

from g2m_cli.interpretation.truth import driver_metrics, driver_scores, true_means

GENES = pd.DataFrame(
    {"mean_CX": 2.0, "mean_BAT": 2.0, "factor": ["lumen", "lumen", None], "effect": [0.5, -1.0, 0.0]},
    index=pd.Index(["up", "down", "still"], name="gene"),
)
FACTORS = pd.DataFrame({"factor": ["lumen"], "regions": ["CX;OSOM"]})
WINDOWS = pd.DataFrame({"lumen": [2.0, 1.0, 9.0, 0.3]})
LABELS = np.array(["CX", "CX", "", "BAT"])


def test_means_follow_the_factor_where_its_windows_are_and_it_is_drawn():
    means = true_means(GENES, FACTORS, WINDOWS, LABELS)
    assert means.loc["up", "CX"] == pytest.approx(np.exp(1 - 1 / 8) + np.exp(0.5 - 1 / 8))
    assert means.loc["down", "CX"] == pytest.approx(np.exp(-2 - 0.5) + np.exp(-1 - 0.5))
    assert (means["BAT"] == 2).all()
    assert means.loc["still", "CX"] == 2
    limited = true_means(GENES, FACTORS, WINDOWS, np.array(["", "", "CX", ""]))
    assert limited.loc["up", "CX"] == pytest.approx(2 * np.exp(2.5 * 0.5 - 1 / 8))


def test_means_are_those_that_the_phantom_draws_counts_from():
    from g2m_data.simulate.anatomy import FACTORS as DRAWN
    from g2m_data.simulate.anatomy import RASTER_UM, REGIONS, draw_anatomy
    from g2m_data.simulate.config import PRESETS
    from g2m_data.simulate.programmes import choose_panel
    from g2m_data.simulate.tissue import sense_tissue
    from g2m_data.truth import TruthMaps

    settings = replace(PRESETS["tiny"], batch_sd=0.0)
    plan, panel = settings.sections[1], choose_panel(settings, 0)
    anatomy = draw_anatomy(plan, settings, np.random.default_rng(0))
    tissue = sense_tissue(plan, settings, panel, anatomy, np.zeros((0, 3)), np.random.default_rng(1))
    inside = np.argwhere(anatomy.region < len(REGIONS))[::7]
    centres = (inside[:, ::-1] + 0.5) * RASTER_UM
    windows = TruthMaps(anatomy.region, anatomy.factors, REGIONS, tuple(DRAWN), RASTER_UM).sample(centres, 1.0)
    labels = windows["region"].to_numpy().astype(str)

    genes = pd.DataFrame({f"mean_{region}": panel.profile[code] for code, region in enumerate(REGIONS)})
    genes["factor"] = np.array([*DRAWN, None], dtype=object)[panel.factor]
    genes["effect"] = panel.effect
    factors = pd.DataFrame([(name, ";".join(drawn[0])) for name, drawn in DRAWN.items()], columns=["factor", "regions"])
    means = true_means(genes, factors, windows, labels).iloc[tissue.measured]
    rates = tissue.rates(centres)
    assert len({*labels}) > 2
    for region in {*labels}:
        np.testing.assert_allclose(means[region], rates[labels == region].mean(axis=0), rtol=1e-5)


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "truth").mkdir()
    GENES.to_csv(tmp_path / "truth" / "genes.csv")
    FACTORS.to_csv(tmp_path / "truth" / "factors.csv", index=False)
    return tmp_path


def test_a_gene_whose_factor_is_higher_in_the_query_s_windows_is_no_negative(dataset):
    found = anndata.AnnData(
        X=np.array([[5.0, 0.0, 1.0, 7.0]]),
        obs=pd.DataFrame({"query": ["CX"], "reference": ["BAT"]}, index=["CX / BAT"]),
        var=pd.DataFrame(index=["up", "down", "still", "unknown"]),
        layers={"difference": np.array([[1.0, -1.0, 2.0, 3.0]])},
    )
    scores = driver_scores(dataset, found, WINDOWS, LABELS)
    assert scores[["drivers", "negatives"]].iloc[0].tolist() == [1, 1]
    metrics = driver_metrics(scores)
    assert (metrics["driver_auroc_mean"], metrics["driver_auroc_min"]) == (1, 1)
    assert metrics["difference_of_means_auroc"] == 0
    assert np.isnan(metrics["driver_auroc_neutral_min"])  # at neutral factors nothing differs
    assert "untrained_auroc" not in metrics


def test_nothing_is_known_of_a_real_study(tmp_path):
    assert driver_scores(tmp_path, anndata.AnnData(np.zeros((1, 1))), WINDOWS, LABELS) is None
