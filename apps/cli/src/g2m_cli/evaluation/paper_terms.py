"""The paper's tables of enriched terms: 3 and F.1 to F.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, records_of, table_of
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["sample", "term", "nes", "query", "reference", "p", "leading"]


def enrichment(paper: PaperStudy, item: PaperItem) -> Built:
    """Tables 3 and F.1 to F.3: terms enriched among the genes that set one cluster apart from another.

    The paper has a table for each section. Ours stand together under its Table 3, with a column for the section.
    """
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
    ours = current_terms(paper.study)
    if ours is None:
        text = (
            f"Ours is missing: `g2m interpret attribute {paper.study.root}` and then `g2m interpret enrich` make it. "
            "What stands here is the paper's table and nothing else."
        )
        return Built(text=text, tables=tables, metrics=metrics)
    text = (
        "Terms are comparable by name only: other sections, clusters and gene sets, and a normalised enrichment score "
        "depends on the number of ranked genes. Nominal p of many tests: some of these terms are there by chance."
    )
    own = f"This study: {len(ours)} terms by the same filter, as `g2m interpret enrich` was last run."
    tables.append(ReportTable(table=ours, caption=own, name="table3-ours"))
    return Built(text=text, tables=tables, metrics={**metrics, "ours": records_of(ours)})


def current_terms(study: Study) -> pd.DataFrame | None:
    """Read the terms that passed the paper's filter; None where there are none of this dataset and these encoders."""
    import pandas as pd

    attribution, enriched = (study.root / "interpret" / name for name in ("attribution", "enrichment"))
    chain = [(read_provenance(folder) or {}).get("parents", {}) for folder in (attribution, enriched)]
    now = {"dataset": dataset_id(study.dataset), "encoders": folder_id(study.run("encoders"))}
    of_now = now.items() <= chain[0].items() and chain[1].get("attribution") == folder_id(attribution)
    if not of_now or not (enriched / "terms.csv").is_file():
        return None
    return pd.read_csv(enriched / "terms.csv")[_COLUMNS]
