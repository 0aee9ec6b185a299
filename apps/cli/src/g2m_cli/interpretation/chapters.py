"""What a study's report says of genes: chapters, tiles and metrics, read from the folders of `g2m interpret`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import say
from g2m_cli.interpretation.attribution import attribution_folder
from g2m_cli.interpretation.attribution_page import GENES, PAIRS, SAMPLE, genes_section, pairs_section
from g2m_cli.interpretation.enrichment import enrichment_folder, file_digest
from g2m_cli.interpretation.enrichment_page import TERMS, terms_section
from g2m_cli.interpretation.factors import CLEAR, fault_of, obeys
from g2m_cli.interpretation.factors_page import CURVES, FACTORS, RANDOM, doses_section
from g2m_cli.interpretation.factors_report import factors_folder
from g2m_cli.interpretation.knockout import knockout_folder
from g2m_cli.interpretation.perturbation_page import CHANGES, changes_section, strip_section
from g2m_cli.interpretation.strip import FILE as STRIP
from g2m_cli.interpretation.strip import Strip
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study, dataset_id, folder_id, left_out_file

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval import ReportSection, SummaryTile

_TERMS_OF_A_PAIR = 3  # in the report's table; terms.csv has all
_PAIR_COLUMNS = ("query", "reference", "top_genes", "driver_auroc", "difference_auroc", "completeness_error")
_TERM_COLUMNS = ("query", "reference", "term", "nes", "p", "fdr", "set_size", "leading")


@dataclass(frozen=True, kw_only=True)
class InterpretationChapters:
    """What a report gains."""

    sections: list[ReportSection] = field(default_factory=list)
    tiles: list[SummaryTile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """``attribution``, ``enrichment``, ``perturbation`` of metrics.json, as far as they are there."""


def interpretation_folders(study: Study, clusters: str | None = None) -> dict[str, Path]:
    """Give the folders that a report of the study takes in: those made from its artefacts as they are now.

    Parameters
    ----------
    study
        Whose ``interpret/``.
    clusters
        Id of the clusters that the report itself shows; what was made from others stays out.
    """
    now = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        "gan": folder_id(study.run("gan")),
        "attribution": folder_id(attribution_folder(study)),
        **({} if clusters is None else {"clusters": clusters}),
    }
    found: dict[str, Path] = {}
    for name, folder in _folders(study).items():
        parents = (read_provenance(folder) or {}).get("parents")
        fits = parents is not None and all(parents[key] == now[key] for key in now.keys() & parents.keys())
        if fits and (name != "enrichment" or ("attribution" in found and _sets_are_as_they_were(study, folder))):
            found[name] = folder
    return found


def _sets_are_as_they_were(study: Study, folder: Path) -> bool:
    """Whether the study's own gene sets, if these were ranked, still hold the same; a file given by hand may differ."""
    from g2m_data.gene_sets import gene_sets_of

    ranked, own = _settings(folder), gene_sets_of(study.dataset)
    return own is None or own.name != ranked["gene_sets"] or file_digest(own) == ranked["sha256"]


def interpretation_chapters(study: Study, clusters: str | None = None) -> InterpretationChapters:
    """Make chapters of what `g2m interpret` has written; of what it has not, they say how it is made.

    ``clusters`` is as of `interpretation_folders`.
    """
    folders = interpretation_folders(study, clusters)
    for name, folder in _folders(study).items():
        if folder.is_dir() and name not in folders:
            say(
                f"{folder}: left out of the report, it was made from other data, models, clusters, gene sets or "
                "attributions"
            )
    left_out = {name: why for name, why in _left_out(study).items() if name not in folders}
    metrics = {name: _metrics(folder)[name] for name, folder in folders.items()}
    sections = [
        _genes(study, folders.get("attribution")),
        _sets(study, folders.get("enrichment")),
        _redrawn(study, folders.get("perturbation")),
    ]
    sections = [
        replace(section, text=f"Left out of this run: {left_out[name]}.") if name in left_out else section
        for name, section in zip(_folders(study), sections, strict=True)
    ]
    return InterpretationChapters(
        sections=sections,
        tiles=_tiles(metrics, _doses(folders.get("perturbation"))),
        warnings=_warnings(metrics),
        metrics=metrics,
    )


def _folders(study: Study) -> dict[str, Path]:
    return {
        "attribution": attribution_folder(study),
        "enrichment": enrichment_folder(study),
        "perturbation": factors_folder(study) if factors_folder(study).is_dir() else knockout_folder(study),
    }


def _left_out(study: Study) -> dict[str, str]:
    file = left_out_file(study)
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _genes(study: Study, folder: Path | None) -> ReportSection:
    import pandas as pd

    from g2m_eval import ReportSection
    from g2m_interpret import AttributionSettings

    title = "Which genes tell regions apart?"
    if folder is None:
        return ReportSection(title=title, text=f"Not asked yet: `g2m interpret attribute {study.root}` does it.")
    own = AttributionSettings(**_settings(folder)["attribution"])
    top, table = (pd.read_csv(folder / name, dtype={"query": str, "reference": str}) for name in (GENES, PAIRS))
    groups = list(dict.fromkeys(top[SAMPLE].astype(str)))
    pairs = pairs_section(_columns(table, _PAIR_COLUMNS, groups), own)
    figures = [figure for group in groups for figure in genes_section(group, top[top[SAMPLE] == group], own).figures]
    text = (
        "For each ordered pair of clusters, the genes by which the expression encoder, and so every generator behind "
        "it, knows spots of the one from spots of the other. " + pairs.text
    )
    caption = (
        "top_genes: the three of highest score. completeness_error: what the attributions of all genes miss of the "
        "distance they explain, as a share."
    )
    if "driver_auroc" in table:
        caption += (
            " driver_auroc: how well the score tells genes whose true mean is at least 1.5 times higher in the query "
            "from genes that do not differ (1 = perfectly, 0.5 = not at all); difference_auroc: the same by the plain "
            "difference of mean expression."
        )
    tables = [replace(one, name="attribution-pairs", caption=caption) for one in pairs.tables]
    return ReportSection(title=title, text=text, figures=figures, tables=tables)


def _sets(study: Study, folder: Path | None) -> ReportSection:
    import pandas as pd

    from g2m_data.gene_sets import gene_sets_of
    from g2m_eval import ReportSection
    from g2m_interpret import EnrichmentSettings

    title = "Which gene sets tell regions apart?"
    if folder is None:
        text = f"Not asked yet: `g2m interpret enrich {study.root}` does it."
        if gene_sets_of(study.dataset) is None:
            text = (
                "The study names no gene sets. Name a local GMT file, such as MSigDB's GO:CC, as gene_sets in [study] "
                f"of its manifest, or run `g2m interpret enrich {study.root} --gene-sets FILE.gmt`."
            )
        return ReportSection(title=title, text=text)
    settings, metrics = _settings(folder), _metrics(folder)["enrichment"]
    own = EnrichmentSettings(**settings["enrichment"])
    terms = pd.read_csv(folder / TERMS, dtype={"query": str, "reference": str})
    groups = list(dict.fromkeys(terms[SAMPLE].astype(str)))
    shown = terms_section(terms, groups, own, settings["gene_sets"])
    chance = own.significance * metrics["tests"]
    text = (
        f"{shown.text} Above zero, the set's genes stand at the top of those that tell the first cluster from the "
        f"second; below, at the bottom. p is nominal: of {metrics['tests']:,} tests, some {chance:,.0f} would "
        f"have p < {own.significance} by chance alone; {metrics['significant']:,} terms pass the filter."
    )
    first = terms.groupby([SAMPLE, "query", "reference"], sort=False).head(_TERMS_OF_A_PAIR)
    tables = [
        replace(
            one,
            table=_columns(first, _TERM_COLUMNS, groups),
            name="enrichment-terms",
            caption=f"The {_TERMS_OF_A_PAIR} terms of highest score of each pair (the paper's Table 3); "
            f"{TERMS} of `g2m interpret enrich` has all. {one.caption}",
        )
        for one in shown.tables
    ]
    return ReportSection(title=title, text=text, figures=shown.figures, tables=tables)


def _redrawn(study: Study, folder: Path | None) -> ReportSection:
    import pandas as pd

    from g2m_eval import ReportSection

    title = "What if the genes were others?"
    if folder is None:
        text = (
            "Not asked yet, or there is no StyleGAN-G: "
            f"`g2m interpret perturb {study.root} --genes A,B --knockout --model MODEL` redraws spots from edited "
            "expression."
        )
        return ReportSection(title=title, text=text)
    settings, metrics = _settings(folder), _metrics(folder)["perturbation"]
    strip = Strip.load(folder / STRIP)
    if (folder / FACTORS).is_file():
        table, curves, random = (pd.read_csv(folder / name) for name in (FACTORS, CURVES, RANDOM))
        pictures = strip_section(strip, f"genes of {metrics['shown'].replace('_', ' ')}")
        numbers = doses_section(table, curves, random)
        about = (
            f"Above, genes of the factor {metrics['shown'].replace('_', ' ')} at their lowest and highest dose; "
            "below, every factor."
        )
    else:
        pictures = strip_section(strip, settings["label"])
        numbers = changes_section(pd.read_csv(folder / CHANGES), random_sets=settings["perturbation"]["random_sets"])
        about = f"Here, {settings['label']} are set to zero: {', '.join(settings['genes'])}."
    figures = [replace(one, name=f"perturbation-{one.name}") for one in (*pictures.figures, *numbers.figures)]
    text = " ".join(part for part in (pictures.text, numbers.text, about) if part)
    return ReportSection(title=title, text=text, figures=figures, tables=numbers.tables)


def _doses(folder: Path | None) -> list[float]:
    return [] if folder is None else sorted(map(float, _settings(folder)["perturbation"]["doses"]))


def _tiles(metrics: dict[str, Any], doses: Sequence[float]) -> list[SummaryTile]:
    from g2m_eval import SummaryTile

    tiles = []
    genes = metrics.get("attribution", {})
    if genes.get("driver_auroc_mean") is not None:
        note = f"AUROC over {genes['pairs']} pairs of regions; worst {genes['driver_auroc_min']:.2f}"
        sets = metrics.get("enrichment", {}).get("true_set_in_top5")
        note += "" if sets is None else f"; the region's own gene set is among the first five in {100 * sets:.0f} %"
        tiles.append(
            SummaryTile(
                label="Genes that truly differ, found by attribution",
                value=f"{genes['driver_auroc_mean']:.2f}",
                note=note,
            )
        )
    factors = metrics.get("perturbation", {}).get("factors")
    if factors:
        obey = sum(obeys(factor) for factor in factors.values())
        tiles.append(
            SummaryTile(
                label="Factors that rise and fall with their genes",
                value=f"{obey} of {len(factors)}",
                note=f"generated tissue, counts of their genes x {doses[0]:g} to x {doses[-1]:g}; beyond "
                f"{CLEAR:.0%} of random gene sets",
            )
        )
    return tiles


def _warnings(metrics: dict[str, Any]) -> list[str]:
    factors = metrics.get("perturbation", {}).get("factors", {})
    why: dict[str, list[str]] = {}
    for name, factor in factors.items():
        if (fault := fault_of(factor)) is not None:
            why.setdefault(fault, []).append(name.replace("_", " "))
    unlike = metrics.get("perturbation", {}).get("unlike_training", {})
    return [
        *(f"Driving their genes {fault}: {', '.join(names)}." for fault, names in why.items()),
        *(sentence for sentences in unlike.values() for sentence in sentences),
    ]


def _columns(table: pd.DataFrame, wanted: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """Keep what a reader of the study's report needs; the section only where there are several."""
    return table[[*([SAMPLE] if len(groups) > 1 else []), *(name for name in wanted if name in table)]]


def _settings(folder: Path) -> dict[str, Any]:
    return dict((read_provenance(folder) or {})["settings"])


def _metrics(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics.json").read_text()))
