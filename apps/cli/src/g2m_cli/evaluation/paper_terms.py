"""The paper's tables of enriched terms: 3 and F.1 to F.3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from g2m_cli.errors import InputError
from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, records_of, table_of
from g2m_cli.evaluation.space import clusters_id
from g2m_cli.interpretation.attribution import attribution_folder
from g2m_cli.interpretation.chapters import interpretation_folders
from g2m_cli.interpretation.clusters import SAMPLEWISE, read_clusters
from g2m_cli.interpretation.enrichment_page import TERMS
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["sample", "term", "nes", "query", "reference", "p", "leading"]
_TABLE_3 = "Table 3"


def enrichment(paper: PaperStudy, item: PaperItem) -> Built:
    """Tables 3 and F.1 to F.3: terms enriched among the genes that set one cluster apart from another.

    The paper has a table for each section. Its terms keep theirs, and this study's score of the same term between
    regions of the same names, in whichever section, stands beside each. Ours stand together under Table 3.
    """
    import pandas as pd

    from g2m_eval import ReportTable
    from g2m_eval.report.published import ENRICHMENT_SAMPLES, published_enrichment

    published = published_enrichment(item.number)
    caption = (
        f"Published: test sample {ENRICHMENT_SAMPLES[item.number]} of the paper, GO Cellular Component, genes ranked "
        "by integrated gradients from the reference to the query cluster; p < 0.02 and more than 4 leading genes."
    )
    metrics = {"published": records_of(published)}
    folder = enrichment_at_hand(paper)
    if folder is None:
        text = (
            f"Ours is missing: `g2m interpret attribute {paper.study.root} --clusters samplewise` and then `g2m "
            "interpret enrich` make it. What stands here is the paper's table and nothing else."
        )
        if item.number != _TABLE_3:
            text = "Ours is missing; see Table 3."
        return Built(text=text, tables=[table_of(item, published, caption)], metrics=metrics)
    every = pd.read_csv(folder / "enrichment.csv", dtype={"sample": str, "query": str, "reference": str})
    caption += " Ours: score, nominal p and section of the same term between clusters of the same names; – for none."
    tables = [table_of(item, beside_published(published, every), caption)]
    if item.number != _TABLE_3:
        text = f"{_whose(paper.study)} Terms that passed the filter, of all sections, stand under Table 3."
        return Built(text=text, tables=tables, metrics=metrics)
    ours = beside_ours(pd.read_csv(folder / TERMS, dtype={"sample": str, "query": str, "reference": str})[_COLUMNS])
    own = (
        f"This study: {len(ours)} terms of {_filter_of(folder)}, as `g2m interpret enrich` was last run. published: "
        "score and test sample of the same term between regions of the same names in the paper; – for none."
    )
    tables.append(ReportTable(table=ours, caption=own, name="table3-ours"))
    text = (
        f"{_whose(paper.study)} Terms are comparable by name only: other sections, clusters and gene sets, and a "
        "normalised enrichment score depends on the number of ranked genes. Nominal p of many tests: some of these "
        "terms are there by chance."
    )
    return Built(text=text, tables=tables, metrics={**metrics, "ours": records_of(ours)})


def enrichment_at_hand(paper: PaperStudy) -> Path | None:
    """Give the enrichment of the clusters that the page itself shows, or else of those that a report has kept."""
    for clusters in (clusters_id(paper.study, paper.settings), _clusters_at_hand(paper.study)):
        found = interpretation_folders(paper.study, clusters).get("enrichment")
        if found is not None:
            return found
    return None


def beside_published(published: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """Put this study's scores of the published terms beside them, whether or not they passed its filter."""
    keyed = every.assign(term=every["term"].map(plain_term))
    found = []
    for term, query, reference in published[["term", "query cluster", "reference cluster"]].itertuples(index=False):
        same = (keyed["term"] == plain_term(term)) & (keyed["query"] == query) & (keyed["reference"] == reference)
        found.append("; ".join(f"{row.nes:.2f} (p {row.p:.2g}, {row.sample})" for row in keyed[same].itertuples()))
    return published.assign(ours=[text or "–" for text in found])


def beside_ours(terms: pd.DataFrame) -> pd.DataFrame:
    """Put the published scores of the same terms, between regions of the same names, beside this study's."""
    from g2m_eval.report.published import ENRICHMENT

    known: dict[tuple[str, str, str], list[str]] = {}
    for row in ENRICHMENT:
        key = plain_term(row.term), row.query, row.reference
        known.setdefault(key, []).append(f"{row.nes:.2f} (sample {row.sample})")
    keys = zip(terms["term"].map(plain_term), terms["query"], terms["reference"], strict=True)
    return terms.assign(published=["; ".join(known.get(key, ["–"])) for key in keys])


def plain_term(name: str) -> str:
    """Spell a term as all collections do: "Lipid Droplet (GO:0005811)" and GOCC_LIPID_DROPLET are "lipid droplet"."""
    bare = re.sub(r"^GO(CC|BP|MF)?_|\(GO:\d+\)", "", name)
    return re.sub(r"[\W_]+", " ", bare).strip().casefold()


def _whose(study: Study) -> str:
    """Say between which clusters ours are."""
    kind = (read_provenance(attribution_folder(study)) or {}).get("settings", {}).get("clusters")
    if kind == SAMPLEWISE:
        return "Ours, as the paper's, are between the clusters of each section by itself."
    return (
        "Ours are of all sections together, where the paper compares the clusters of each by itself: `g2m interpret "
        f"attribute {study.root} --clusters samplewise`, and then `g2m interpret enrich`, does that too."
    )


def _clusters_at_hand(study: Study) -> str | None:
    """Id of the clusters that `g2m interpret` would compare now; None where there are none."""
    try:
        return read_clusters(study).id
    except InputError:
        return None


def _filter_of(enriched: Path) -> str:
    own = (read_provenance(enriched) or {})["settings"]["enrichment"]
    return f"p < {own['significance']} and more than {own['leading_genes']} leading genes"
