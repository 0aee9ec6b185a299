"""The genes at the top of each pair, and how many of them it takes no trained encoder to find."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
from jaxtyping import Float

from g2m_interpret import keys


def rank_genes(attributions: anndata.AnnData, pair: int, *, top: int = 100) -> pd.Series[float]:
    """Scores of one pair's genes, highest first, equal ones by name so that the order of genes does not matter.

    Parameters
    ----------
    attributions
        Of `attribute_pairs`.
    pair
        Row.
    top
        How many at most, of those with a score other than 0; 0 = every gene, those included.
    """
    scores = np.asarray(attributions.X[pair], dtype=np.float64)
    table = pd.DataFrame({"gene": attributions.var_names.to_numpy(), "score": scores})
    if top:
        strongest = table[table["score"] != 0]
        table = strongest.iloc[np.lexsort([strongest["gene"], -strongest["score"].abs()])[:top]]
    table = table.iloc[np.lexsort([table["gene"], -table["score"]])]
    return pd.Series(table["score"].to_numpy(), index=pd.Index(table["gene"], name="gene"), name="score")


def top_genes(attributions: anndata.AnnData, *, top: int = 100) -> pd.DataFrame:
    """Give the top genes of every pair: query, reference, rank, gene, score, attribution, difference."""
    parts = []
    for pair in range(attributions.n_obs):
        ranking = rank_genes(attributions, pair, top=top)
        where = attributions.var_names.get_indexer(ranking.index)
        parts.append(
            pd.DataFrame(
                {
                    keys.QUERY: attributions.obs[keys.QUERY].iloc[pair],
                    keys.REFERENCE: attributions.obs[keys.REFERENCE].iloc[pair],
                    "rank": np.arange(1, len(ranking) + 1),
                    "gene": ranking.index,
                    "score": ranking.to_numpy(),
                    keys.ATTRIBUTION: attributions.layers[keys.ATTRIBUTION][pair, where],
                    keys.DIFFERENCE: attributions.layers[keys.DIFFERENCE][pair, where],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def shared_top(attributions: anndata.AnnData, *, top: int = 100) -> pd.DataFrame:
    """How much of each pair's top genes one would have had without a trained encoder.

    Parameters
    ----------
    attributions
        Of `attribute_pairs`.
    top
        Genes of highest score, at most; those without a score are none.

    Returns
    -------
    query, reference; the share of the top genes that are also among as many of largest ``difference`` of means, and of
    highest score by an encoder that is ``untrained`` (mean over them; only where there are any).
    """
    untrained = [name for name in attributions.layers if name.startswith(keys.UNTRAINED)]
    rows = []
    for pair in range(attributions.n_obs):
        own = _top(attributions.X[pair], top)
        others = {name: _top(attributions.layers[name][pair], len(own)) for name in (keys.DIFFERENCE, *untrained)}
        share = {name: len(own & other) / len(own) if own else float("nan") for name, other in others.items()}
        row: dict[str, str | float] = {k: str(attributions.obs[k].iloc[pair]) for k in (keys.QUERY, keys.REFERENCE)}
        row[keys.DIFFERENCE] = share[keys.DIFFERENCE]
        if untrained:
            row[keys.UNTRAINED] = float(np.mean([share[name] for name in untrained]))
        rows.append(row)
    return pd.DataFrame(rows)


def _top(scores: Float[np.ndarray, " gene"], top: int) -> set[int]:
    ranked = np.argsort(-np.asarray(scores), kind="stable")[:top]
    return {int(gene) for gene in ranked if scores[gene] > 0}
