import anndata
import numpy as np
import pandas as pd
import pytest

from g2m_interpret import keys
from g2m_interpret.errors import InputError
from g2m_interpret.scoring import DriverDefinition, driver_genes, rank_true_sets, score_drivers

MEANS = pd.DataFrame(
    {"CX": [3.0, 1.0, 0.04, 1.4, 1.0, 1.05], "BAT": [1.0, 3.0, 0.01, 1.0, 1.0, 1.0]}, index=list("uvwxyz")
)


def attributions(scores, difference):
    return anndata.AnnData(
        X=np.array([scores], dtype=float),
        obs=pd.DataFrame({keys.QUERY: ["CX"], keys.REFERENCE: ["BAT"]}, index=["CX / BAT"]),
        var=pd.DataFrame(index=list("zyxwvu")),
        layers={keys.DIFFERENCE: np.array([difference], dtype=float)},
    )


def test_drivers_are_expressed_and_higher_and_negatives_are_equal():
    drivers, negatives = driver_genes(MEANS, "CX", "BAT")
    assert drivers.tolist() == [True, False, False, False, False, False]  # w is too rare, x not higher enough
    assert negatives.tolist() == [False, False, False, False, True, True]


def test_scores_are_judged_by_gene_name_beside_the_difference_of_means():
    found = score_drivers(attributions([0, 1, 9, 9, 9, 5], [7, 0, 0, 0, 0, 5]), MEANS).iloc[0]
    assert (found["drivers"], found["negatives"]) == (1, 2)
    assert found["auroc"] == 1.0
    assert found["difference_auroc"] == 0.5
    assert found["difference_auprc"] == 0.5


def test_untrained_encoders_are_judged_one_by_one_and_averaged():
    found = attributions([0, 1, 0, 0, 0, 5], [7, 1, 0, 0, 0, 5])
    assert not any(name.startswith("untrained") for name in score_drivers(found, MEANS))
    found.layers["untrained_1"], found.layers["untrained_2"] = found.X, -found.X
    scored = score_drivers(found, MEANS).iloc[0]
    assert (scored["auroc"], scored["untrained_auroc"]) == (1.0, 0.5)
    assert scored["untrained_auprc"] == pytest.approx((1 + 1 / 3) / 2)


def test_sensitivity_is_what_is_left_once_the_difference_of_means_is_divided_out():
    # u is the driver; y and z are the negatives, of which z is lower in the query and not judged
    equal = score_drivers(attributions([0, 4, 0, 0, 0, 6], [-1, 2, 0, 0, 0, 3]), MEANS).iloc[0]
    assert (equal["auroc"], equal["sensitivity_auroc"]) == (1.0, 0.5)
    less = score_drivers(attributions([9, 5, 0, 0, 0, 6], [-1, 2, 0, 0, 0, 3]), MEANS).iloc[0]
    assert less["sensitivity_auroc"] == 0


def test_a_pair_without_negatives_has_no_score():
    found = attributions([0, 4, 0, 0, 0, 6], [-1, 2, 0, 0, 0, 3])
    found.layers["untrained_1"] = found.X
    scored = score_drivers(found, MEANS, DriverDefinition(equal_fold=0.5)).iloc[0]
    assert scored["negatives"] == 0
    assert np.isnan([scored["auroc"], scored["difference_auroc"], scored["untrained_auroc"]]).all()


def test_genes_without_truth_are_named():
    with pytest.raises(InputError, match="z for one"):
        score_drivers(attributions(np.ones(6), np.ones(6)), MEANS.drop(index="z"))


def test_rank_of_the_true_set_counts_those_above():
    table = pd.DataFrame(
        {keys.QUERY: "CX", keys.REFERENCE: "BAT", "term": ["A", "T"], "nes": [2.0, 1.5], "p": [0.0, 0.1]}
    )
    assert rank_true_sets(table, {"CX": "T"})["rank"].tolist() == [2.0]
    assert rank_true_sets(table, {"CX": "absent"})["rank"].tolist() == [np.inf]
    with pytest.raises(InputError, match="no true set of 'CX'"):
        rank_true_sets(table, {})
