"""Preranked gene set enrichment of a pair's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anndata
import gseapy
import pandas as pd

from g2m_interpret import keys
from g2m_interpret.attribution.ranking import rank_genes
from g2m_interpret.config import EnrichmentSettings
from g2m_interpret.enrichment.gene_sets import SetMatch, match_gene_sets
from g2m_interpret.errors import InputError
from g2m_interpret.progress import Track, pass_through

COLUMNS = ("term", "es", "nes", "p", "fdr", "fwer", "set_size", "ranked_genes", "leading", "leading_genes")
"""Of an enrichment table: ``set_size`` of the matched set, ``leading`` how many genes lead, then their names."""


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """Every term of every pair.

    Attributes
    ----------
    table
        query, reference, then `COLUMNS`; highest NES first within a pair.
    match
        How the file's sets met the whole panel.
    """

    table: pd.DataFrame
    match: SetMatch


def enrich_ranking(
    ranking: pd.Series[float],
    sets: Mapping[str, Sequence[str]],
    settings: EnrichmentSettings | None = None,
    *,
    threads: int = 1,
) -> pd.DataFrame:
    """Run gseapy's prerank (Subramanian et al. 2005) on one ranking.

    Parameters
    ----------
    ranking
        Score by gene, highest first. Genes of equal score stay in this order.
    sets
        In the ranking's own symbols (`match_gene_sets`); ``settings.case`` is not looked at here.
    threads
        Of gseapy; they do not change the numbers.

    Returns
    -------
    `COLUMNS`, highest NES first. ``p`` is nominal; it is a share of permutations and may be 0.

    Raises
    ------
    InputError
        Fewer than two genes are ranked, or none is in a set of the wanted sizes.
    """
    settings = settings or EnrichmentSettings()
    members = set(ranking.index)
    sizes = [len(members.intersection(genes)) for genes in sets.values()]
    # a set of all ranked genes says nothing, and gseapy leaves it out
    largest = min(settings.max_size, len(ranking) - 1)
    if not any(settings.min_size <= size <= largest for size in sizes):
        raise InputError(
            f"{len(ranking)} ranked genes and no set with {settings.min_size} to {largest} of them: rank "
            "more genes (top_genes = 0 ranks all) or lower min_size"
        )
    result = gseapy.prerank(
        rnk=ranking,
        gene_sets={name: list(genes) for name, genes in sets.items()},
        min_size=settings.min_size,
        max_size=settings.max_size,
        permutation_num=settings.permutations,
        weight=settings.weight,
        ascending=None,  # sorted already, equal scores by name
        seed=settings.seed,
        threads=threads,
        outdir=None,
        no_plot=True,
    ).res2d
    leading = [str(genes).split(";") if str(genes) else [] for genes in result["Lead_genes"]]
    table = pd.DataFrame(
        {
            "term": result["Term"].astype(str),
            "es": result["ES"].astype(float),
            "nes": result["NES"].astype(float),
            "p": result["NOM p-val"].astype(float),
            "fdr": result["FDR q-val"].astype(float),
            "fwer": result["FWER p-val"].astype(float),
            "set_size": [len(members.intersection(sets[term])) for term in result["Term"]],
            "ranked_genes": len(ranking),
            "leading": [len(genes) for genes in leading],
            "leading_genes": [";".join(genes) for genes in leading],
        }
    )
    return table.sort_values(["nes", "term"], ascending=[False, True], ignore_index=True)


def enrich_pairs(
    attributions: anndata.AnnData,
    sets: Mapping[str, Sequence[str]],
    settings: EnrichmentSettings | None = None,
    *,
    threads: int = 1,
    track: Track = pass_through,
) -> Enrichment:
    """Enrich the top genes of every pair (paper, Results: GSEA preranked by attribution, the 100 top genes).

    Parameters
    ----------
    attributions
        Of `attribute_pairs`.
    sets
        As `read_gmt` gives them; matched here by ``settings.case``.
    settings
        Of 0 ``top_genes`` all are ranked, and those with score 0 tie at the end in the order of their names.

    Raises
    ------
    InputError
        No set matches the panel, or none the top genes of a pair.
    """
    settings = settings or EnrichmentSettings()
    genes = attributions.var_names.tolist()
    matched, match = match_gene_sets(
        sets, genes, case=settings.case, min_size=settings.min_size, max_size=max(settings.max_size, len(genes))
    )
    parts = []
    for pair in track(range(attributions.n_obs), description="Enriching", total=attributions.n_obs):
        table = enrich_ranking(
            rank_genes(attributions, pair, top=settings.top_genes), matched, settings, threads=threads
        )
        table.insert(0, keys.REFERENCE, attributions.obs[keys.REFERENCE].iloc[pair])
        table.insert(0, keys.QUERY, attributions.obs[keys.QUERY].iloc[pair])
        parts.append(table)
    return Enrichment(table=pd.concat(parts, ignore_index=True), match=match)
