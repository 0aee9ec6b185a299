"""Enrichment as the paper shows it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from g2m_interpret import keys
from g2m_interpret.config import EnrichmentSettings


def significant_terms(table: pd.DataFrame, settings: EnrichmentSettings | None = None) -> pd.DataFrame:
    """Terms the paper would show: nominal p below 0.02 and more than 4 leading genes, or as the settings say."""
    settings = settings or EnrichmentSettings()
    shown = (table["p"] < settings.significance) & (table["leading"] > settings.leading_genes)
    return table[shown].reset_index(drop=True)


def terms_table(
    enrichments: Mapping[str, pd.DataFrame], settings: EnrichmentSettings | None = None, *, all_columns: bool = False
) -> pd.DataFrame:
    """Significant terms of several samples (paper, Tables 3 and F.1-F.3): sample, term, NES, query, reference.

    Parameters
    ----------
    enrichments
        Sample -> table of `enrich_pairs`.
    all_columns
        p, FDR, leading genes and sizes as well.
    """
    parts = []
    for sample, table in enrichments.items():
        shown = significant_terms(table, settings)
        shown.insert(0, "sample", sample)
        parts.append(shown)
    joined = pd.concat(parts, ignore_index=True)
    joined["term"] = joined["term"].map(readable_term)
    columns = ["sample", "term", "nes", keys.QUERY, keys.REFERENCE]
    if all_columns:
        columns += ["p", "fdr", "leading", "set_size", "ranked_genes", "leading_genes"]
    return joined[columns]


def readable_term(name: str) -> str:
    """Give MSigDB's name as words: GOCC_LIPID_DROPLET is Lipid Droplet."""
    words = name.removeprefix("GOCC_").removeprefix("GOBP_").removeprefix("GOMF_").replace("_", " ")
    return words.title() if words.isupper() else words
