"""The genes at the top of each pair."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd

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
