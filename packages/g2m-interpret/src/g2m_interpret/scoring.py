"""How well attributions and enrichment find what is known to differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, roc_auc_score

from g2m_interpret import keys
from g2m_interpret.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DriverDefinition:
    """Which genes count as drivers of one region against another, and which as negatives.

    No two true means of a simulation are equal to the digit: a gene does not differ where they are within a tenth of
    each other. The means should be those of the very tissue whose spots are compared, in which something that drives
    genes may happen to be higher in one region than in another.
    """

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
    """How well scores tell drivers from negatives, pair by pair, beside what needs no trained encoder.

    Parameters
    ----------
    attributions
        Of `attribute_pairs`.
    means
        True mean counts: genes (index, all that were attributed) by regions (the clusters' names).

    Returns
    -------
    query, reference, drivers, negatives; auroc and auprc of the score; the same of the plain difference of means
    (``difference_``) and, where there are any, of untrained encoders, on average (``untrained_``).
    ``sensitivity_auroc``: of |score| / difference among the genes that the query expresses more, which is what an
    encoder adds to the difference of means; 0.5 is nothing. NaN where a pair has no driver or no negative.

    Raises
    ------
    InputError
        A gene or region has no truth.
    """
    missing = attributions.var_names.difference(means.index)
    if len(missing):
        raise InputError(f"{len(missing)} genes have no true mean, {missing[0]} for one")
    means = means.loc[attributions.var_names]
    fresh = [np.asarray(layer) for name, layer in attributions.layers.items() if name.startswith(keys.UNTRAINED)]
    rows = []
    for pair in range(attributions.n_obs):
        query, reference = (str(attributions.obs[key].iloc[pair]) for key in (keys.QUERY, keys.REFERENCE))
        drivers, negatives = driver_genes(means, query, reference, definition)
        difference = np.asarray(attributions.layers[keys.DIFFERENCE][pair], dtype=float)
        row: dict[str, str | float] = {keys.QUERY: query, keys.REFERENCE: reference}
        row |= {"drivers": int(drivers.sum()), "negatives": int(negatives.sum())}
        row |= _measures(drivers, negatives, np.asarray(attributions.X[pair], dtype=float), difference)
        plain = _measures(drivers, negatives, difference, difference)
        row |= {f"difference_{name}": plain[name] for name in ("auroc", "auprc")}
        if fresh:
            each = pd.DataFrame([_measures(drivers, negatives, scores[pair], difference) for scores in fresh])
            row |= {f"{keys.UNTRAINED}_{name}": float(each[name].mean(skipna=False)) for name in each}
        rows.append(row)
    return pd.DataFrame(rows)


def _measures(
    drivers: Bool[np.ndarray, " gene"],
    negatives: Bool[np.ndarray, " gene"],
    scores: Float[np.ndarray, " gene"],
    difference: Float[np.ndarray, " gene"],
) -> dict[str, float]:
    higher = difference > 0
    sensitivity = np.abs(scores) / np.where(higher, difference, 1)
    return {
        "auroc": _telling(roc_auc_score, drivers, negatives, scores),
        "auprc": _telling(average_precision_score, drivers, negatives, scores),
        "sensitivity_auroc": _telling(roc_auc_score, drivers & higher, negatives & higher, sensitivity),
    }


def _telling(
    measure: Callable[..., float],
    drivers: Bool[np.ndarray, " gene"],
    negatives: Bool[np.ndarray, " gene"],
    values: Float[np.ndarray, " gene"],
) -> float:
    judged = drivers | negatives
    return float(measure(drivers[judged], values[judged])) if drivers.any() and negatives.any() else float("nan")


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
    query, reference, term, rank, of, nes, p; rank is infinite where no gene of the set was ranked, or it has no NES.

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
                "rank": 1.0 + float((table["nes"] > nes).sum()) if np.isfinite(nes) else float("inf"),
                "of": len(table),
                "nes": nes,
                "p": float(found["p"].iloc[0]) if len(found) else float("nan"),
            }
        )
    return pd.DataFrame(rows)
