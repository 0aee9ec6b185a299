"""What a phantom knows of its genes: which differ between regions, and which gene set is a region's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_WITHIN = 5


def driver_scores(dataset: Path, attributions: AnnData) -> pd.DataFrame | None:
    """Score each pair of true regions by the genes that truly differ; None where that is not known.

    Parameters
    ----------
    dataset
        Its ``truth/genes.csv`` holds the true mean counts of each gene in each region, at neutral factors.
    attributions
        Between true regions.
    """
    import pandas as pd

    from g2m_interpret import score_drivers

    path = dataset / "truth" / "genes.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, index_col="gene")
    means = table.filter(like="mean_")
    means.columns = means.columns.str.removeprefix("mean_")
    known = attributions[:, attributions.var_names.isin(means.index)].copy()
    return score_drivers(known, means)


def driver_metrics(scores: pd.DataFrame) -> dict[str, Any]:
    """Give ``attribution.*`` of metrics.json that needs the truth."""
    return {
        "driver_auroc_mean": scores["auroc"].mean(),
        "driver_auroc_min": scores["auroc"].min(),
        "driver_auprc_mean": scores["auprc"].mean(),
        "difference_of_means_auroc": scores["difference_auroc"].mean(),
        "difference_of_means_auprc": scores["difference_auprc"].mean(),
    }


def true_set_ranks(enrichment: pd.DataFrame) -> pd.DataFrame | None:
    """Rank each query's own set among all sets of its pair; None if the sets are not a phantom's, or not of regions."""
    from g2m_interpret import rank_true_sets
    from g2m_interpret.keys import QUERY

    own = {name: f"PHANTOM_REGION_{name.replace('&', 'AND')}" for name in enrichment[QUERY].unique()}
    if not set(own.values()) <= set(enrichment["term"]):
        return None
    return rank_true_sets(enrichment, own)


def share_within_top(ranks: pd.DataFrame) -> float:
    """Give ``enrichment.true_set_in_top5``: the share of pairs whose true set is among the five of highest NES."""
    return float((ranks["rank"] <= _WITHIN).mean())
