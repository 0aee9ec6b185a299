import numpy as np
import pytest

from g2m_interpret.config import PerturbationSettings
from g2m_interpret.perturbation.dose import dose_response
from g2m_interpret.perturbation.simulator import draw_keys


@pytest.fixture
def response(spots, genes, toy):
    settings = PerturbationSettings(random_sets=8, resamples=50)
    keys = draw_keys([f"spot {i}" for i in range(12)], 2, 0)
    return dose_response(toy.simulator(genes), spots[0][:12], genes[:4], keys, down=genes[4:6], settings=settings)


def test_a_driver_moves_its_statistic_monotonically_beyond_random_sets(response):
    assert response.summary.loc["pink", "spearman"] == 1.0
    assert response.summary.loc["pink", "change"] > 0
    assert response.summary.loc["pink", "beyond_random"] == 1.0
    assert response.random.shape == (8, 2)


def test_what_the_set_does_not_touch_stays(response):
    assert np.isnan(response.summary.loc["blue", "spearman"])
    assert response.summary.loc["blue", "change"] == 0


def test_the_curve_has_every_dose_with_its_interval(response):
    own = response.curve[response.curve["statistic"] == "pink"]
    assert own["dose"].tolist() == sorted(PerturbationSettings().doses)
    assert (own["low"] <= own["mean"]).all()
    assert (own["mean"] <= own["high"]).all()
