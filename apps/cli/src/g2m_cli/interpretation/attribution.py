"""Genes between clusters of a study's test spots, and the page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.clusters import REGION, SAMPLEWISE, labels_of, space_folder
from g2m_cli.interpretation.page import slug
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_data import PairedDataset
    from g2m_eval import ReportFigure, ReportSection
    from g2m_interpret import AttributionSettings, InterpretationSettings

SAMPLE = "sample"
"""obs of attributions.h5ad: the section whose spots were compared, or how many sections together."""
FILE = "attributions.h5ad"
_REFERENCES = 5  # panels of a figure
_NAMED = 8  # genes named in the table of pairs

Pairs = list[tuple[str, str]]


def attribution_folder(study: Study) -> Path:
    """Where attributions lie unless told otherwise."""
    return study.root / "interpret" / "attribution"


def parse_pairs(text: str) -> Pairs:
    """Read "CX:BAT,BAT:CX": query and reference of each pair.

    Raises
    ------
    InputError
        If it is written differently.
    """
    pairs = []
    for part in text.split(","):
        query, separator, reference = (item.strip() for item in part.partition(":"))
        if not (query and separator and reference) or query == reference:
            raise InputError(
                f"--pairs {text}: expected QUERY:REFERENCE, two different clusters, several pairs separated by commas"
            )
        pairs.append((query, reference))
    return pairs


def write_attribution(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    *,
    clusters: str,
    samples: Sequence[str] = (),
    pairs: Pairs | None = None,
    out: Path | None = None,
) -> tuple[Path, AnnData]:
    """Write integrated gradients between clusters: the page, attributions.h5ad, genes.csv, pairs.csv, figures.

    Parameters
    ----------
    study
        Whose dataset and expression encoder; for clusters that were found, its ``space/`` too.
    settings
        What is used are ``attribution`` and the seed.
    clusters
        ``region`` and ``joint`` compare spots of all sections together, ``samplewise`` those of each section.
    samples
        Test sections; all by default.
    pairs
        Query and reference; every ordered pair by default.
    out
        Folder; the study's ``interpret/attribution`` by default. An older one is replaced at once.

    Returns
    -------
    The page, and the attributions.

    Raises
    ------
    InputError
        If a cluster, section or model is not there, or there are fewer than two clusters.
    """
    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable
    from g2m_interpret import top_genes

    target = out or attribution_folder(study)
    check_replaceable(target)
    spots = open_dataset(study.dataset, split="test", samples=list(samples) or None)
    labels = labels_of(study, spots, clusters)
    own = settings.model.attribution
    found = attribute(study, spots, labels, own, samplewise=clusters == SAMPLEWISE, pairs=pairs, seed=settings.seed)
    groups = list(dict.fromkeys(found.obs[SAMPLE]))
    top = {group: top_genes(found[found.obs[SAMPLE] == group], top=own.top_genes) for group in groups}
    scores = _scores(study, found) if clusters == REGION else None
    worst = float(found.obs["completeness_error"].max())
    metrics: dict[str, Any] = {
        "completeness_error": worst,
        "pairs": found.n_obs,
        "clusters": {name: int((labels == name).sum()) for name in sorted({*labels} - {""})},
        **({} if scores is None else _driver_metrics(scores)),
    }
    warnings = _warnings(worst, own)
    for sentence in warnings:
        say(f"warning: {sentence}")
    asked = {"clusters": clusters, "samples": spots.samples, "pairs": pairs, "seed": settings.seed}
    parents = {"dataset": dataset_id(study.dataset), "encoders": folder_id(study.run("encoders"))}
    if clusters != REGION:
        parents["space"] = folder_id(space_folder(study))
    write_report(
        target,
        title=f"Genes between clusters: {spots.manifest['study']}",
        lead=f"{(labels != '').sum():,} test spots of {', '.join(spots.samples)}; clusters: {clusters}; "
        f"{found.n_vars:,} genes",
        metrics={"attribution": metrics},
        sections=[
            _pairs_section(found, top, scores, own),
            *(_genes_section(group, top[group], own) for group in groups),
        ],
        warnings=warnings,
        provenance=provenance("attribution", {"attribution": asdict(own), **asked}, parents),
        files={FILE: found.write_h5ad, "genes.csv": lambda path: _joined(top).to_csv(path, index=False)},
    )
    return target / "report.html", found


def attribute(
    study: Study,
    spots: PairedDataset,
    labels: NDArray[np.str_],
    settings: AttributionSettings,
    *,
    samplewise: bool,
    pairs: Pairs | None,
    seed: int,
) -> AnnData:
    """Attribute pairs of clusters, of all sections together or of each; obs gains ``sample``.

    A section that lacks a cluster of a pair is left out of that pair, and told.

    Raises
    ------
    InputError
        If no section has a pair's clusters, or any two.
    """
    import anndata

    from g2m_cli.generators import device
    from g2m_encoders import ContrastiveModel
    from g2m_interpret import attribute_pairs, cluster_profiles

    model = ContrastiveModel.from_pretrained(study.run("encoders") / "model").eval()
    alignment = model.align(list(spots.genes))
    section = spots.obs["sample"].to_numpy().astype(str)
    if samplewise:
        groups = {name: np.where(section == name, labels, "") for name in spots.samples}
    else:
        groups = {spots.samples[0] if len(spots.samples) == 1 else f"{len(spots.samples)} sections": labels}
    wanted = _wanted(groups, pairs)
    parts = []
    for name, group in groups.items():
        if not wanted[name]:
            continue
        profiles = cluster_profiles(
            lambda rows: alignment.apply(spots.expression(rows)),
            group,
            model.genes,
            encode=model.embed_expression if settings.reference == "mean-embedding" else None,
            clusters=sorted({cluster for pair in wanted[name] for cluster in pair}),
            track=track,
        )
        found = attribute_pairs(
            model.expression,
            profiles,
            settings=settings,
            pairs=wanted[name],
            seed=seed,
            device=device(),
            track=track,
        )
        found.obs[SAMPLE] = name
        if samplewise:
            found.obs_names = [f"{name}: {pair}" for pair in found.obs_names]
        parts.append(found)
    return parts[0] if len(parts) == 1 else anndata.concat(parts, merge="same", uns_merge="first")


def _wanted(groups: dict[str, NDArray[np.str_]], pairs: Pairs | None) -> dict[str, Pairs]:
    from itertools import permutations

    present = {name: sorted({*labels} - {""}) for name, labels in groups.items()}
    every = sorted({cluster for clusters in present.values() for cluster in clusters})
    for cluster in dict.fromkeys(cluster for pair in pairs or () for cluster in pair):
        if cluster not in every:
            raise InputError(f"--pairs: no cluster {cluster!r}; there are: {', '.join(every)}")
    wanted = {}
    for name, clusters in present.items():
        asked = list(permutations(clusters, 2)) if pairs is None else pairs
        wanted[name] = [pair for pair in asked if set(pair) <= set(clusters)]
        if not wanted[name] or len(wanted[name]) < len(asked):
            say(f"{name} has only {', '.join(clusters)}: {len(wanted[name])} of {len(asked)} pairs compared")
    if not any(wanted.values()):
        raise InputError(
            f"no two clusters to compare; the spots have {', '.join(every) or 'none'}: choose other sections or pairs"
        )
    return wanted


def _scores(study: Study, found: AnnData) -> pd.DataFrame | None:
    from g2m_cli.interpretation.truth import driver_scores

    return driver_scores(study.dataset, found)


def _driver_metrics(scores: pd.DataFrame) -> dict[str, Any]:
    from g2m_cli.interpretation.truth import driver_metrics

    return driver_metrics(scores)


def _warnings(worst: float, settings: AttributionSettings) -> list[str]:
    if worst <= settings.tolerance:
        return []
    return [
        f"The completeness error of a pair is {worst:.1e}, above {settings.tolerance:.0e}: raise "
        "attribution.max_evaluations."
    ]


def _joined(top: dict[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([table.assign(sample=group) for group, table in top.items()], ignore_index=True)


def _pairs_section(
    found: AnnData, top: dict[str, pd.DataFrame], scores: pd.DataFrame | None, settings: AttributionSettings
) -> ReportSection:
    from g2m_eval import ReportSection, ReportTable

    table = found.obs.reset_index(drop=True)[
        [SAMPLE, "query", "reference", "distance_change", "completeness_error", "evaluations"]
    ]
    genes = _joined(top)
    named = genes[genes["rank"] <= _NAMED].groupby([SAMPLE, "query", "reference"], observed=True)["gene"].agg(", ".join)
    table = table.join(named.rename("top_genes"), on=[SAMPLE, "query", "reference"])
    caption = (
        "distance_change: squared distance of the query's mean expression, embedded, from the reference "
        f"({settings.reference}), less that of the reference's own. completeness_error: what the attributions of all "
        "genes miss of it, as a share; evaluations: gradients along the path."
    )
    if scores is not None:
        table = table.assign(
            driver_auroc=scores["auroc"].to_numpy(), difference_auroc=scores["difference_auroc"].to_numpy()
        )
        caption += (
            " driver_auroc: how well the score tells genes whose true mean is at least 1.5 times higher in the query "
            "from genes whose true means are within 1.1 fold; difference_auroc: the same by the plain difference of "
            "mean log1p expression."
        )
    return ReportSection(
        title="Every pair",
        text="Integrated gradients, from the reference cluster's mean expression to the query's, say how much each "
        "gene contributes to the distance between their embeddings. That is what the encoder reads, not cause.",
        tables=[ReportTable(table=table, caption=caption, name="pairs")],
    )


def _genes_section(group: str, top: pd.DataFrame, settings: AttributionSettings) -> ReportSection:
    from g2m_eval import ReportSection

    score = (
        "|integrated gradient| of genes that the query expresses more"
        if settings.score == "upregulated"
        else "integrated gradient, signed"
    )
    return ReportSection(
        title=f"Top genes, {group}",
        text=f"Score: {score}. genes.csv has the first {top['rank'].max()} of every pair.",
        figures=[figure for query in dict.fromkeys(top["query"]) for figure in _figures(group, query, top)],
    )


def _figures(group: str, query: str, top: pd.DataFrame) -> list[ReportFigure]:
    from g2m_eval import ReportFigure
    from g2m_interpret import figure_top_genes

    references = list(dict.fromkeys(top.loc[top["query"] == query, "reference"]))
    figures = []
    for start in range(0, len(references), _REFERENCES):
        shown = top[top["reference"].isin(references[start : start + _REFERENCES])]
        part = f"-{start // _REFERENCES + 1}" if len(references) > _REFERENCES else ""
        figures.append(
            ReportFigure(
                name=f"genes-{slug(group)}-{slug(query)}{part}",
                figure=figure_top_genes(shown, query),
                caption=f"The genes of highest score that tell {query} from each other cluster; {group}.",
            )
        )
    return figures
