"""How well attributions and enrichment find what is known to differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
from jaxtyping import Bool
from sklearn.metrics import average_precision_score, roc_auc_score

from g2m_interpret import keys
from g2m_interpret.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DriverDefinition:
    """Which genes count as drivers of one region against another, and which as negatives."""

    fold: float = 1.5  # true mean at least so many times higher in the query
    counts: float = 0.05  # a window, in the query: expressed at all
    equal_fold: float = 1.1  # negatives: true means within this fold of each other, either way


def driver_genes(
    means: pd.DataFrame, query: str, reference: str, definition: DriverDefinition | None = None
) -> tuple[Bool[np.ndarray, " gene"], Bool[np.ndarray, " gene"]]:
    """Drivers and negatives of an ordered pair; genes in between are neither.

    Parameters
    ----------
    means
        True mean counts, genes by regions.

    Raises
    ------
    InputError
        A region has no column.
    """
    definition = definition or DriverDefinition()
    for region in (query, reference):
        if region not in means:
            raise InputError(f"no true means of region {region!r}; there are {', '.join(map(str, means.columns))}")
    high, low = means[query].to_numpy(dtype=float), means[reference].to_numpy(dtype=float)
    drivers = (high >= definition.fold * low) & (high >= definition.counts)
    negatives = (high <= definition.equal_fold * low) & (low <= definition.equal_fold * high)
    return drivers, negatives & ~drivers


def score_drivers(
    attributions: anndata.AnnData, means: pd.DataFrame, definition: DriverDefinition | None = None
) -> pd.DataFrame:
    """How well scores tell drivers from negatives, pair by pair, beside the plain difference of means.

    Parameters
    ----------
    attributions
        Of `attribute_pairs`.
    means
        True mean counts: genes (index, all that were attributed) by regions (the clusters' names).

    Returns
    -------
    query, reference, drivers, negatives, auroc, auprc, difference_auroc, difference_auprc. NaN where a pair has no
    driver or no negative.

    Raises
    ------
    InputError
        A gene or region has no truth.
    """
    missing = attributions.var_names.difference(means.index)
    if len(missing):
        raise InputError(f"{len(missing)} genes have no true mean, {missing[0]} for one")
    means = means.loc[attributions.var_names]
    rows = []
    for pair in range(attributions.n_obs):
        query, reference = (str(attributions.obs[key].iloc[pair]) for key in (keys.QUERY, keys.REFERENCE))
        drivers, negatives = driver_genes(means, query, reference, definition)
        judged = drivers | negatives
        row: dict[str, str | float] = {keys.QUERY: query, keys.REFERENCE: reference}
        row |= {"drivers": int(drivers.sum()), "negatives": int(negatives.sum())}
        for name, values in (("", attributions.X[pair]), ("difference_", attributions.layers[keys.DIFFERENCE][pair])):
            known = drivers.any() and negatives.any()
            values = np.asarray(values)[judged]
            row[f"{name}auroc"] = float(roc_auc_score(drivers[judged], values)) if known else float("nan")
            row[f"{name}auprc"] = float(average_precision_score(drivers[judged], values)) if known else float("nan")
        rows.append(row)
    return pd.DataFrame(rows)


def rank_true_sets(enrichment: pd.DataFrame, truth: Mapping[str, str]) -> pd.DataFrame:
    """Where the query's true set stands among all sets of its pair by NES, 1 = highest.

    Parameters
    ----------
    enrichment
        Table of `enrich_pairs`.
    truth
        Query -> name of its set.

    Returns
    -------
    query, reference, term, rank, of, nes, p; rank is infinite where no gene of the set was ranked.

    Raises
    ------
    InputError
        A query has no true set.
    """
    rows = []
    for pair, table in enrichment.groupby([keys.QUERY, keys.REFERENCE], sort=False, observed=True):
        query, reference = map(str, pair)
        if query not in truth:
            raise InputError(f"no true set of {query!r}; there are sets of {', '.join(truth)}")
        found = table[table["term"] == truth[query]]
        nes = float(found["nes"].iloc[0]) if len(found) else float("nan")
        rows.append(
            {
                keys.QUERY: query,
                keys.REFERENCE: reference,
                "term": truth[query],
                "rank": 1.0 + float((table["nes"] > nes).sum()) if len(found) else float("inf"),
                "of": len(table),
                "nes": nes,
                "p": float(found["p"].iloc[0]) if len(found) else float("nan"),
            }
        )
    return pd.DataFrame(rows)
