"""Gene sets among the top genes of each pair of clusters, and the page that shows them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.attribution import FILE, attribution_folder
from g2m_cli.interpretation.attribution_page import SAMPLE
from g2m_cli.interpretation.enrichment_page import match_section, terms_section
from g2m_cli.interpretation.truth import share_within_top, true_set_ranks
from g2m_cli.provenance import known_to_differ, provenance, read_provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_interpret import EnrichmentSettings, InterpretationSettings


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
        GMT file; by default that of the study's manifest, or a phantom's own.
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

    target = out or enrichment_folder(study)
    check_replaceable(target, "enrichment")
    folder = attributions or attribution_folder(study)
    if attributions is None:
        _refuse_stale(study, folder)
    found = read_attributions(folder, study)
    path = gene_sets or study_gene_sets(study)
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
    ranked = [one for table in tables.values() if (one := true_set_ranks(table, sets)) is not None]
    tested = every.groupby([SAMPLE, "query", "reference"], observed=True).size()
    metrics: dict[str, Any] = {
        "match": match.to_dict(),
        "tests": len(every),
        "tested_of_a_pair": {"fewest": int(tested.min()), "median": float(tested.median()), "most": int(tested.max())},
        "significant": len(terms),
        **({"true_set_in_top5": share_within_top(pd.concat(ranked))} if ranked else {}),
    }
    write_report(
        target,
        title=f"Gene sets between clusters: {study.root.name}",
        lead=f"{match.sets_kept:,} of {match.sets_read:,} sets of {path.name}; {found.n_obs} pairs of clusters",
        metrics={"enrichment": metrics},
        sections=[terms_section(terms, list(tables), own, path.name), match_section(match.to_dict())],
        warnings=_warnings(every, terms, own),
        provenance=enrichment_record(folder, settings, path),
        files={"enrichment.csv": lambda file: every.to_csv(file, index=False)},
    )
    say(
        f"{match.genes_matched:,} of {match.genes_in_sets:,} symbols of {path.name} are in the panel "
        f"(case {match.case}); {match.sets_read - match.sets_kept} sets have fewer than {own.min_size} of it. "
        f"Of a pair {tested.min():,} to {tested.max():,} were tested, those with {own.min_size} to {own.max_size} of "
        "its ranked genes"
    )
    return target / "report.html", terms


def enrichment_folder(study: Study) -> Path:
    """Where enrichment lies unless told otherwise."""
    return study.root / "interpret" / "enrichment"


def enrichment_record(
    attributions: Path, settings: RunSettings[InterpretationSettings], gene_sets: Path
) -> dict[str, Any]:
    """Describe the enrichment that these attributions, settings and gene sets give."""
    asked = {
        "enrichment": asdict(settings.model.enrichment),
        "gene_sets": gene_sets.name,
        "sha256": file_digest(gene_sets),
    }
    return provenance("enrichment", asked, {"attribution": folder_id(attributions)})


def file_digest(path: Path) -> str:
    """Tell a file of gene sets from another of the same name."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def study_gene_sets(study: Study) -> Path:
    """Give the study's GMT file.

    Raises
    ------
    InputError
        If its manifest names none, and it is no phantom.
    """
    from g2m_data.gene_sets import gene_sets_of

    path = gene_sets_of(study.dataset)
    if path is None:
        raise InputError(
            f"{study.dataset}: has no gene sets; give --gene-sets FILE.gmt, or name a file as gene_sets in [study] of "
            "the manifest"
        )
    return path


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


def _refuse_stale(study: Study, folder: Path) -> None:
    """Refuse attributions of encoders or data that are no longer the study's, as far as that is known."""
    then = (read_provenance(folder) or {}).get("parents", {})
    now = {"dataset": dataset_id(study.dataset), "encoders": folder_id(study.run("encoders"))}
    changed = [name for name, own in now.items() if known_to_differ(then.get(name), own)]
    if changed:
        raise InputError(
            f"{folder}: was made from other {' and '.join(changed)} than the study has now; `g2m interpret attribute "
            f"{study.root}` makes it again (--attributions {folder} enriches it as it is)"
        )


def _warnings(every: pd.DataFrame, terms: pd.DataFrame, settings: EnrichmentSettings) -> list[str]:
    chance = settings.significance * len(every)
    found = [
        f"p is nominal: of {len(every):,} tests, some {chance:,.0f} would have p < {settings.significance} by chance "
        "alone; fdr allows for the sets of one pair."
    ]
    if not len(terms):
        found.append(f"No set has p < {settings.significance} and more than {settings.leading_genes} leading genes.")
    return found
