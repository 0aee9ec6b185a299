import anndata
import numpy as np
import pandas as pd

from g2m_interpret import keys
from g2m_interpret.attribution.ranking import shared_top


def attributions(scores, **layers):
    return anndata.AnnData(
        X=np.array([scores], dtype=float),
        obs=pd.DataFrame({keys.QUERY: ["CX"], keys.REFERENCE: ["BAT"]}, index=["CX / BAT"]),
        var=pd.DataFrame(index=list("abcdef")),
        layers={name: np.array([values], dtype=float) for name, values in layers.items()},
    )


def test_top_genes_in_common_with_the_difference_and_with_untrained_encoders():
    found = attributions(
        [6, 5, 4, 3, 0, 0], difference=[1, 2, 3, 0, 9, -1], untrained_1=[1, 2, 0, 0, 0, 0], untrained_2=[0] * 6
    )
    shared = shared_top(found, top=2).iloc[0]
    assert (shared["query"], shared["reference"]) == ("CX", "BAT")
    assert shared["difference"] == 0  # e and c
    assert shared["untrained"] == 0.5  # both, and none


def test_genes_without_a_score_are_no_top_genes():
    shared = shared_top(attributions([6, 5, 0, 0, 0, 0], difference=[1, 2, 3, 0, 0, 0]), top=4).iloc[0]
    assert shared["difference"] == 0.5  # as many of the difference as have a score: c and b
    assert "untrained" not in shared
    assert np.isnan(shared_top(attributions([0] * 6, difference=[1] * 6))["difference"].iloc[0])
