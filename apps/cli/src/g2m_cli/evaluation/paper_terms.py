"""The paper's tables of enriched terms: 3 and F.1 to F.3."""

from __future__ import annotations

from pathlib import Path

from g2m_cli.errors import InputError
from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, records_of, table_of
from g2m_cli.interpretation.chapters import interpretation_folders
from g2m_cli.interpretation.clusters import read_clusters
from g2m_cli.interpretation.enrichment_page import TERMS
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study

_COLUMNS = ["sample", "term", "nes", "query", "reference", "p", "leading"]


def enrichment(paper: PaperStudy, item: PaperItem) -> Built:
    """Tables 3 and F.1 to F.3: terms enriched among the genes that set one cluster apart from another.

    The paper has a table for each section. Ours stand together under its Table 3, with a column for the section.
    """
    import pandas as pd

    from g2m_eval import ReportTable
    from g2m_eval.report.published import ENRICHMENT_SAMPLES, published_enrichment

    published = published_enrichment(item.number)
    caption = (
        f"Published: test sample {ENRICHMENT_SAMPLES[item.number]} of the paper, GO Cellular Component, genes ranked "
        "by integrated gradients from the reference to the query cluster; p < 0.02 and more than 4 leading genes."
    )
    tables = [table_of(item, published, caption)]
    metrics = {"published": records_of(published)}
    if item.number != "Table 3":
        return Built(text="Ours, of all sections, stand under Table 3.", tables=tables, metrics=metrics)
    enriched = interpretation_folders(paper.study, _clusters_at_hand(paper.study)).get("enrichment")
    if enriched is None:
        text = (
            f"Ours is missing: `g2m interpret attribute {paper.study.root}` and then `g2m interpret enrich` make it. "
            "What stands here is the paper's table and nothing else."
        )
        return Built(text=text, tables=tables, metrics=metrics)
    text = (
        "Terms are comparable by name only: other sections, clusters and gene sets, and a normalised enrichment score "
        "depends on the number of ranked genes. Nominal p of many tests: some of these terms are there by chance."
    )
    ours = pd.read_csv(enriched / TERMS)[_COLUMNS]
    own = f"This study: {len(ours)} terms of {_filter_of(enriched)}, as `g2m interpret enrich` was last run."
    tables.append(ReportTable(table=ours, caption=own, name="table3-ours"))
    return Built(text=text, tables=tables, metrics={**metrics, "ours": records_of(ours)})


def _clusters_at_hand(study: Study) -> str | None:
    """Id of the clusters that `g2m interpret` would compare now; None where there are none."""
    try:
        return read_clusters(study).id
    except InputError:
        return None


def _filter_of(enriched: Path) -> str:
    own = (read_provenance(enriched) or {})["settings"]["enrichment"]
    return f"p < {own['significance']} and more than {own['leading_genes']} leading genes"
