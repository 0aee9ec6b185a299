import numpy as np
import pandas as pd
import pytest

from g2m_eval.errors import InputError
from g2m_eval.fidelity.correspondence import same_spot_correspondence
from g2m_eval.morphology import STATISTICS


def statistics(seed, n=60):
    return pd.DataFrame(np.random.default_rng(seed).random((n, len(STATISTICS))), columns=list(STATISTICS))


SECTIONS = np.repeat(["s1", "s2"], 30)


def test_patches_that_vary_as_the_real_ones_score_one():
    real = statistics(0)
    found = same_spot_correspondence(np.exp(real), real, SECTIONS, permutations=199)
    assert found["statistic"].tolist() == list(STATISTICS)
    assert found["rho"].to_numpy() == pytest.approx(1)
    assert found["p"].to_numpy() == pytest.approx(1 / 200)
    assert (found["n"] == 60).all()


def test_patches_of_other_spots_score_nothing():
    found = same_spot_correspondence(statistics(1, 400), statistics(2, 400), ["s1"] * 400, permutations=199)
    assert (found["rho"].abs() < 0.2).all()
    assert found["p"].mean() > 0.1


def test_a_difference_between_sections_alone_counts_for_nothing():
    level = np.where(SECTIONS == "s1", 0.0, 10.0)[:, None]
    found = same_spot_correspondence(statistics(1) + level, statistics(2) + level, SECTIONS, permutations=199)
    assert (found["rho"].abs() < 0.5).all()
    pooled = same_spot_correspondence(statistics(1) + level, statistics(2) + level, ["all"] * 60, permutations=199)
    assert (pooled["rho"] > 0.6).all()


def test_a_statistic_that_nowhere_varies_is_missing_and_not_an_error():
    real = statistics(0)
    found = same_spot_correspondence(real.assign(lipid_share=0.0), real, SECTIONS, permutations=19)
    found = found.set_index("statistic")
    assert np.isnan(found.loc["lipid_share", "rho"])
    assert found.loc["lipid_share", "n"] == 0
    assert found.loc["lumen_share", "n"] == 60


def test_tables_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="60 and 59 rows"):
        same_spot_correspondence(statistics(0), statistics(1, 59), SECTIONS)
