"""What the page of enrichment shows: normalised scores as bars, the paper's Table 3, and how sets met the panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from g2m_cli.interpretation.attribution_page import SAMPLE, slug

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval import ReportSection
    from g2m_interpret import EnrichmentSettings

TERMS = "terms.csv"


def terms_section(
    terms: pd.DataFrame, groups: Sequence[str], settings: EnrichmentSettings, gene_sets: str
) -> ReportSection:
    """Show the terms that passed the filter, as bars and as a table.

    Parameters
    ----------
    terms
        Of terms.csv.
    groups
        Sections, or how many together: a figure each.
    settings
        By which they were found.
    gene_sets
        Name of the GMT file.
    """
    from g2m_eval import ReportFigure, ReportSection, ReportTable
    from g2m_interpret import figure_enrichment

    ranked = f"the {settings.top_genes} genes of highest score" if settings.top_genes else "all genes"
    protocol = (
        f"gseapy prerank of {ranked} of each pair, {settings.permutations:,} permutations, seed {settings.seed}, sets "
        f"of {settings.min_size} to {settings.max_size} ranked genes of {gene_sets}; symbols matched "
        f"{'as written' if settings.case == 'exact' else 'in upper case'}. Shown: nominal p < {settings.significance} "
        f"and more than {settings.leading_genes} leading genes."
    )
    figures = [
        ReportFigure(
            name=f"nes-{slug(group)}",
            figure=figure_enrichment(terms[terms[SAMPLE] == group]),
            caption=f"Normalised enrichment scores, {group}. {protocol}",
        )
        for group in groups
    ]
    return ReportSection(
        title="Significant terms",
        text="Which sets gather at the top of the genes that tell a cluster from another.",
        figures=figures,
        tables=[ReportTable(table=terms, name="terms", caption=f"Significant terms. {protocol}")],
    )


def match_section(match: Mapping[str, Any]) -> ReportSection:
    """Show what was read of the sets, matched and dropped."""
    import pandas as pd

    from g2m_eval import ReportSection, ReportTable

    counts = pd.DataFrame({"what": [key.replace("_", " ") for key in match], "value": [str(v) for v in match.values()]})
    return ReportSection(
        title="How the sets met the panel",
        tables=[ReportTable(table=counts, caption="What was read, matched and dropped.")],
    )
