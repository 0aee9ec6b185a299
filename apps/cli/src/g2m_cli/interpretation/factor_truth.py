"""What a phantom knows of its images: which genes drive the factor that an image statistic sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_REGION = "region"


def factor_effects(dataset: Path, where: Mapping[str, str] | None = None) -> dict[str, pd.Series]:
    """Give, of each image statistic that a factor moves, the effect of the factor's genes; nothing for a real study.

    Parameters
    ----------
    dataset
        Its ``truth/factors.csv`` names the statistic that sees a factor, and the sign; ``truth/genes.csv`` the log fold
        of each gene per standard deviation of its factor.
    where
        With ``region``: only factors that this region draws.

    Returns
    -------
    Statistic -> signed effect by gene, positive where more of the gene goes with more of the statistic.
    """
    from g2m_data.truth import read_factors, read_genes

    folder = dataset / "truth"
    if not ((folder / "genes.csv").is_file() and (folder / "factors.csv").is_file()):
        return {}
    genes = read_genes(folder).set_index("gene")
    region = (where or {}).get(_REGION)
    effects = {}
    for factor in read_factors(folder).itertuples():
        if region is None or region in str(factor.regions).split(";"):
            own = genes.loc[genes["factor"] == factor.factor, "effect"]
            effects[str(factor.statistic)] = own * float(str(factor.sign))
    return effects


def factor_metrics(scores: pd.Series, effects: pd.Series) -> dict[str, float]:
    """Score how a factor's genes stand out from all others.

    Parameters
    ----------
    scores
        Predicted change of the statistic when counts double, by gene.
    effects
        Of the factor's genes, signed as in `factor_effects`.

    Returns
    -------
    factor_auroc (of the score's size, factor genes against all others), factor_same_sign (share of factor genes whose
    score has the true sign), factor_in_top20 (factor genes among the twenty of largest score), factor_genes. Empty if
    the panel has none of the genes, or nothing else.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    own = scores.index.isin(effects.index)
    if not own.any() or own.all():
        return {}
    size = scores.abs().to_numpy()
    known = scores[own]
    return {
        "factor_auroc": float(roc_auc_score(own, size)),
        "factor_same_sign": float((np.sign(known) == np.sign(effects[known.index])).mean()),
        "factor_in_top20": int(own[np.argsort(-size, kind="stable")[:20]].sum()),
        "factor_genes": int(own.sum()),
    }
