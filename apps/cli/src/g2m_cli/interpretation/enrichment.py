"""Gene sets among the top genes of each pair of clusters, and the page that shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.attribution import FILE, attribution_folder
from g2m_cli.interpretation.attribution_page import SAMPLE, slug
from g2m_cli.interpretation.truth import gene_sets_of, share_within_top, true_set_ranks
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, folder_id

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_eval import ReportSection
    from g2m_interpret import EnrichmentSettings, InterpretationSettings, SetMatch


def write_enrichment(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    *,
    gene_sets: Path | None = None,
    attributions: Path | None = None,
    out: Path | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Write preranked enrichment of every pair: the page, enrichment.csv, terms.csv (the paper's filter), figures.

    Parameters
    ----------
    study
        Whose ``interpret/attribution``.
    settings
        What is used is ``enrichment``, which has a seed of its own.
    gene_sets
        GMT file; a phantom's own sets by default.
    attributions
        Folder of `g2m interpret attribute`, if another than the study's.
    out
        Folder; the study's ``interpret/enrichment`` by default. An older one is replaced at once.

    Returns
    -------
    The page, and the terms that pass the filter.

    Raises
    ------
    InputError
        If there are no attributions or gene sets, or they have nothing in common.
    """
    import pandas as pd

    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable
    from g2m_interpret import enrich_pairs, read_gmt, terms_table

    target = out or study.root / "interpret" / "enrichment"
    check_replaceable(target, "enrichment")
    folder = attributions or attribution_folder(study)
    found = read_attributions(folder, study)
    path = gene_sets or gene_sets_of(study.dataset)
    if path is None:
        raise InputError(f"{study.dataset}: only a phantom brings gene sets; give --gene-sets FILE.gmt")
    sets = read_gmt(path)
    own = settings.model.enrichment
    enriched = {
        group: enrich_pairs(found[found.obs[SAMPLE] == group].copy(), sets, own, track=track)
        for group in dict.fromkeys(found.obs[SAMPLE])
    }
    tables = {group: one.table for group, one in enriched.items()}
    match = next(iter(enriched.values())).match
    terms = terms_table(tables, own, all_columns=True)
    every = pd.concat([table.assign(sample=group) for group, table in tables.items()], ignore_index=True)
    ranked = [one for table in tables.values() if (one := true_set_ranks(table)) is not None]
    metrics: dict[str, Any] = {
        "match": match.to_dict(),
        "tests": len(every),
        "significant": len(terms),
        **({"true_set_in_top5": share_within_top(pd.concat(ranked))} if ranked else {}),
    }
    record = provenance(
        "enrichment",
        {"enrichment": asdict(own), "gene_sets": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        {"attribution": folder_id(folder)},
    )
    write_report(
        target,
        title=f"Gene sets between clusters: {study.root.name}",
        lead=f"{match.sets_kept:,} of {match.sets_read:,} sets of {path.name}; {found.n_obs} pairs of clusters",
        metrics={"enrichment": metrics},
        sections=_sections(terms, list(tables), match, own, path),
        warnings=_warnings(every, terms, own),
        provenance=record,
        files={"enrichment.csv": lambda file: every.to_csv(file, index=False)},
    )
    say(
        f"{match.genes_matched:,} of {match.genes_in_sets:,} symbols of {path.name} are in the panel "
        f"(case {match.case}); {match.sets_read - match.sets_kept} sets dropped"
    )
    return target / "report.html", terms


def read_attributions(folder: Path, study: Study) -> AnnData:
    """Read attributions.h5ad.

    Raises
    ------
    InputError
        If it is absent, damaged, or something else.
    """
    import anndata

    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{path}: no such file; `g2m interpret attribute {study.root}` writes it")
    try:
        found = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a readable .h5ad file ({str(error).splitlines()[0]}); attribute again") from None
    absent = [key for key in (SAMPLE, "query", "reference") if key not in found.obs]
    if absent:
        raise InputError(f"{path}: lacks obs[{absent[0]!r}], so it is not of `g2m interpret attribute`")
    for key in (SAMPLE, "query", "reference"):
        found.obs[key] = found.obs[key].astype(str)
    return found


def _warnings(every: pd.DataFrame, terms: pd.DataFrame, settings: EnrichmentSettings) -> list[str]:
    chance = settings.significance * len(every)
    found = [
        f"p is nominal: of {len(every):,} tests, some {chance:,.0f} would have p < {settings.significance} by chance "
        "alone; fdr allows for the sets of one pair."
    ]
    if not len(terms):
        found.append(f"No set has p < {settings.significance} and more than {settings.leading_genes} leading genes.")
    return found


def _sections(
    terms: pd.DataFrame, groups: list[str], match: SetMatch, settings: EnrichmentSettings, path: Path
) -> list[ReportSection]:
    from g2m_eval import ReportFigure, ReportSection, ReportTable
    from g2m_interpret import figure_enrichment

    ranked = f"the {settings.top_genes} genes of highest score" if settings.top_genes else "all genes"
    protocol = (
        f"gseapy prerank of {ranked} of each pair, {settings.permutations:,} permutations, seed {settings.seed}, sets "
        f"of {settings.min_size} to {settings.max_size} ranked genes of {path.name}; symbols matched "
        f"{'as written' if settings.case == 'exact' else 'in upper case'}. Shown: nominal p < {settings.significance} "
        f"and more than {settings.leading_genes} leading genes."
    )
    figures = [
        ReportFigure(
            name=f"nes-{slug(group)}",
            figure=figure_enrichment(terms[terms["sample"] == group]),
            caption=f"Normalised enrichment scores, {group}. {protocol}",
        )
        for group in groups
    ]
    table = ReportTable(table=terms, name="terms", caption=f"Significant terms. {protocol}")
    counts = _counts(match.to_dict())
    return [
        ReportSection(
            title="Significant terms",
            text="Which sets gather at the top of the genes that tell a cluster from another.",
            figures=figures,
            tables=[table],
        ),
        ReportSection(
            title="How the sets met the panel",
            tables=[ReportTable(table=counts, caption="What was read, matched and dropped.")],
        ),
    ]


def _counts(match: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"what": [key.replace("_", " ") for key in match], "value": [str(v) for v in match.values()]})
