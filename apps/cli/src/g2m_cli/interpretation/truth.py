"""What a phantom knows of its genes: which differ between regions, and which gene set is a region's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_WITHIN = 5
_MEAN = "mean_"
_LIMIT_SD = 2.5  # a factor is drawn, in image and counts, no further than this


def driver_scores(
    dataset: Path, attributions: AnnData, windows: pd.DataFrame, labels: NDArray[np.str_]
) -> pd.DataFrame | None:
    """Score each pair of true regions by the genes that truly differ; None where that is not known.

    Parameters
    ----------
    dataset
        Its ``truth/genes.csv`` holds the true mean counts of each gene in each region at neutral factors, and the
        effects of factors.
    attributions
        Between true regions.
    windows, labels
        What is true at each spot, and the region it was compared as, "" if it was not.

    Returns
    -------
    Of `g2m_interpret.score_drivers`, by the means that these windows truly have (`true_means`); ``neutral_auroc`` by
    those at neutral factors.
    """
    import pandas as pd

    from g2m_interpret import score_drivers

    folder = dataset / "truth"
    if not (folder / "genes.csv").is_file():
        return None
    genes = pd.read_csv(folder / "genes.csv", index_col="gene")
    known = attributions[:, attributions.var_names.isin(genes.index)].copy()
    scores = score_drivers(known, true_means(genes, pd.read_csv(folder / "factors.csv"), windows, labels))
    return scores.assign(neutral_auroc=score_drivers(known, _neutral_means(genes))["auroc"])


def true_means(
    genes: pd.DataFrame, factors: pd.DataFrame, windows: pd.DataFrame, labels: NDArray[np.str_]
) -> pd.DataFrame:
    """Give the mean counts of each gene in each region that its windows truly have, genes by regions.

    A factor varies smoothly, so that it is higher in some regions of a section than in others, and with it its genes:
    at a factor of f standard deviations they are expressed exp(f effect - effect² / 2) times their mean, which is 1 on
    average over a whole section. Glomeruli are in no truth: genes of podocytes count as alike in all regions.

    Parameters
    ----------
    genes, factors
        Tables of the dataset's ``truth/``, genes by name.
    windows
        What is true at each spot: a column for each factor.
    labels
        Its region, "" if it does not count.
    """
    means = _neutral_means(genes)
    for factor in factors.itertuples():
        driven = genes["factor"] == factor.factor
        effect = genes.loc[driven, "effect"].to_numpy(dtype=float)
        for region in {*str(factor.regions).split(";")} & {*labels}:
            sd = windows.loc[labels == region, str(factor.factor)].clip(-_LIMIT_SD, _LIMIT_SD).to_numpy(dtype=float)
            means.loc[driven, region] *= np.exp(np.outer(sd, effect) - effect**2 / 2).mean(axis=0)
    return means


def _neutral_means(genes: pd.DataFrame) -> pd.DataFrame:
    means = genes.filter(regex=f"^{_MEAN}").astype(float)
    means.columns = means.columns.str.removeprefix(_MEAN)
    return means


def driver_metrics(scores: pd.DataFrame) -> dict[str, Any]:
    """Give ``attribution.*`` of metrics.json that needs the truth."""
    means = {
        "driver_auroc_mean": "auroc",
        "driver_auprc_mean": "auprc",
        "driver_auroc_neutral_mean": "neutral_auroc",
        "difference_of_means_auroc": "difference_auroc",
        "difference_of_means_auprc": "difference_auprc",
        "sensitivity_auroc": "sensitivity_auroc",
        "untrained_auroc": "untrained_auroc",
        "untrained_auprc": "untrained_auprc",
        "untrained_sensitivity_auroc": "untrained_sensitivity_auroc",
    }
    return {
        "driver_auroc_min": scores["auroc"].min(),
        "driver_auroc_neutral_min": scores["neutral_auroc"].min(),
        **{key: scores[column].mean() for key, column in means.items() if column in scores},
    }


def true_set_ranks(enrichment: pd.DataFrame, sets: Iterable[str]) -> pd.DataFrame | None:
    """Rank each query's own set among all sets of its pair; None if the sets are not a phantom's, or not of regions.

    ``sets`` are the names of all that were read: a region's own may have met none of the ranked genes, which is a miss.
    """
    from g2m_interpret import rank_true_sets
    from g2m_interpret.keys import QUERY

    own = {name: f"PHANTOM_REGION_{name.replace('&', 'AND')}" for name in enrichment[QUERY].unique()}
    if not set(own.values()) <= set(sets):
        return None
    return rank_true_sets(enrichment, own)


def share_within_top(ranks: pd.DataFrame) -> float:
    """Give ``enrichment.true_set_in_top5``: the share of pairs whose true set is among the five of highest NES."""
    return float((ranks["rank"] <= _WITHIN).mean())
