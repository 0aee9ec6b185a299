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
from g2m_cli.interpretation.attribution_page import (
    GENES,
    HALVES,
    SAMPLE,
    genes_section,
    joined,
    pairs_section,
    pairs_table,
)
from g2m_cli.interpretation.clusters import REGION, SAMPLEWISE, FoundClusters, labels_of, read_clusters
from g2m_cli.interpretation.truth import driver_metrics, driver_scores
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    from anndata import AnnData

    from g2m_data import PairedDataset
    from g2m_interpret import AttributionSettings, InterpretationSettings

FILE = "attributions.h5ad"
_AGREE = 0.5

Pairs = list[tuple[str, str]]


class NothingToCompareError(InputError):
    """The spots have no two clusters, or none of the pairs asked for."""


def attribution_folder(study: Study) -> Path:
    """Where attributions lie unless told otherwise."""
    return study.root / "interpret" / "attribution"


def parse_pairs(text: str) -> Pairs:
    """Read "CX:BAT,BAT:CX": query and reference of each pair, each once.

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
    return list(dict.fromkeys(pairs))


def write_attribution(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    *,
    clusters: str,
    found: FoundClusters | None = None,
    samples: Sequence[str] = (),
    pairs: Pairs | None = None,
    out: Path | None = None,
) -> tuple[Path, AnnData]:
    """Write integrated gradients between clusters: the page, attributions.h5ad, genes.csv, pairs.csv, figures.

    Parameters
    ----------
    study
        Whose dataset and expression encoder.
    settings
        What is used are ``attribution`` and the seed.
    clusters
        ``region`` and ``joint`` compare spots of all sections together, ``samplewise`` those of each section.
    found
        Clusters other than true regions; by default those that lie in the study's ``space/`` or ``report/``.
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
    from g2m_interpret import shared_top, top_genes

    target = out or attribution_folder(study)
    check_replaceable(target, "attribution")
    spots = open_dataset(study.dataset, split="test", samples=list(samples) or None)
    found = None if clusters == REGION else found or read_clusters(study)
    labels = labels_of(study, spots, clusters, found)
    own, alone = settings.model.attribution, clusters == SAMPLEWISE
    attributed = attribute(study, spots, labels, own, samplewise=alone, pairs=pairs, seed=settings.seed)
    groups = list(dict.fromkeys(attributed.obs[SAMPLE]))
    top = joined({g: top_genes(attributed[attributed.obs[SAMPLE] == g], top=own.top_genes) for g in groups})
    truth = spots.truth() if clusters == REGION else None
    scores = None if truth is None else driver_scores(study.dataset, attributed, truth, labels)
    shared = shared_top(attributed).drop(columns=["query", "reference"])
    worst = float(attributed.obs["completeness_error"].max())
    metrics: dict[str, Any] = {
        "completeness_error": worst,
        "pairs": attributed.n_obs,
        "clusters": _sizes(labels),
        **({"clusters_of_sections": _sizes_of_sections(labels, spots)} if alone else {}),
        **{f"top_genes_shared_with_{name}": share for name, share in shared.mean().items()},
        "top_genes_shared_by_halves": attributed.obs[HALVES].mean(),
        **({} if scores is None else driver_metrics(scores)),
    }
    warnings = _warnings(worst, own) + _few(labels, attributed)
    for sentence in warnings:
        say(f"warning: {sentence}")
    write_report(
        target,
        title=f"Genes between clusters: {spots.manifest['study']}",
        lead=f"{(labels != '').sum():,} test spots of {', '.join(spots.samples)}; clusters: {clusters}; "
        f"{attributed.n_vars:,} genes",
        metrics={"attribution": metrics},
        sections=[
            *(genes_section(group, top[top[SAMPLE] == group], own) for group in groups),
            pairs_section(pairs_table(attributed, top, shared, scores), own),
        ],
        warnings=warnings,
        provenance=attribution_record(
            study, settings, clusters, None if found is None else found.id, samples=samples, pairs=pairs
        ),
        files={FILE: attributed.write_h5ad, GENES: lambda path: top.to_csv(path, index=False)},
    )
    return target / "report.html", attributed


def attribution_record(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    clusters: str,
    found: str | None = None,
    *,
    samples: Sequence[str] = (),
    pairs: Pairs | None = None,
) -> dict[str, Any]:
    """Describe the attributions that this study and these settings give; ``found`` is the id of clusters found."""
    parents = {"dataset": dataset_id(study.dataset), "encoders": folder_id(study.run("encoders"))}
    if clusters != REGION:
        parents["clusters"] = found
    asked = {"clusters": clusters, "samples": sorted(samples), "pairs": pairs, "seed": settings.seed}
    return provenance("attribution", {"attribution": asdict(settings.model.attribution), **asked}, parents)


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
    """Attribute pairs of clusters, of all sections together or of each; obs gains ``sample`` and ``shared_by_halves``.

    A section that lacks a cluster of a pair is left out of that pair, and told.

    Raises
    ------
    InputError
        If no section has a pair's clusters, or any two.
    """
    import anndata

    from g2m_cli.device import compute_device
    from g2m_encoders import ContrastiveModel
    from g2m_interpret import attribute_pairs, cluster_profiles, shared_by_halves

    device = compute_device()
    model = ContrastiveModel.from_pretrained(study.run("encoders") / "model", image=False).to(device).eval()
    encode = (
        (lambda expression: model.embed_expression(expression.to(device)))
        if settings.reference == "mean-embedding"
        else None
    )
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
            encode=encode,
            clusters=sorted({cluster for pair in wanted[name] for cluster in pair}),
            track=track,
        )
        found = attribute_pairs(
            model.expression,
            profiles,
            settings=settings,
            pairs=wanted[name],
            seed=seed,
            device=device,
            track=track,
        )
        found.obs[HALVES] = shared_by_halves(
            model.expression,
            lambda rows: alignment.apply(spots.expression(rows)),
            group,
            model.genes,
            wanted[name],
            settings=settings,
            encode=encode,
            seed=seed,
            device=device,
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
        raise NothingToCompareError(
            f"no two clusters to compare; the spots have {', '.join(every) or 'none'}: choose other sections or pairs"
        )
    return wanted


def _sizes(labels: NDArray[np.str_]) -> dict[str, int]:
    return {name: int((labels == name).sum()) for name in sorted({*labels.tolist()} - {""})}


def _sizes_of_sections(labels: NDArray[np.str_], spots: PairedDataset) -> dict[str, dict[str, int]]:
    section = spots.obs["sample"].to_numpy().astype(str)
    return {name: _sizes(labels[section == name]) for name in spots.samples}


def _few(labels: NDArray[np.str_], found: AnnData) -> list[str]:
    """Warn where two halves of the spots disagree on most genes, or a cluster has too few spots to be halved."""
    share, spots = found.obs[HALVES].mean(), [int((labels == name).sum()) for name in {*labels} - {""}]
    warned = []
    if single := int(found.obs[HALVES].isna().sum()):
        warned.append(
            f"In {single} of {found.n_obs} pairs a cluster has a single spot: whether other spots would give the same "
            "genes is not known."
        )
    if share < _AGREE:
        warned.append(
            f"Halves of these {sum(spots):,} spots (the smallest cluster has {min(spots)}) share only "
            f"{100 * share:.0f} of their 100 top genes on average: single genes, and the gene sets found from them, "
            "are hints to be checked in more sections."
        )
    return warned


def _warnings(worst: float, settings: AttributionSettings) -> list[str]:
    if worst <= settings.tolerance:
        return []
    return [
        f"The completeness error of a pair is {worst:.1e}, above {settings.tolerance:.0e}: raise "
        "attribution.max_evaluations."
    ]
