"""The report of a study: numbers, pictures and what to make of them."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.evaluation.common_spots import score_at_common_spots
from g2m_cli.evaluation.scoring import (
    GeneratorScores,
    TestSpots,
    describe_dataset,
    load_test_spots,
    open_judge,
    score_encoders,
    score_generator,
)
from g2m_cli.evaluation.space import clusters_id, space_of_study
from g2m_cli.evaluation.yardsticks import Yardsticks
from g2m_cli.generation import open_images, read_generated
from g2m_cli.interpretation.chapters import interpretation_chapters, interpretation_folders
from g2m_cli.metrics_log import read_metrics
from g2m_cli.models import file_name, label_of, runs_behind, with_companions
from g2m_cli.provenance import provenance, read_provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.study import Study, dataset_id, embeddings_id, folder_id

if TYPE_CHECKING:
    from g2m_eval import EvaluationSettings, ReportFigure, ReportSection
    from g2m_eval.space.evaluate import SpaceEvaluation


def write_study_report(
    study: Study,
    models: Sequence[str],
    settings: RunSettings[EvaluationSettings],
    *,
    seconds: Mapping[str, float],
    space: SpaceEvaluation | None = None,
    out: Path | None = None,
) -> Path:
    """Score a study's artefacts and write report.html, metrics.json and figures.

    Parameters
    ----------
    study
        Whose artefacts.
    models
        Names below ``generated/`` to score, in the order to show: ``gan``, ``tissue-w1``.
    settings
        How to score; the seed is that of the metrics' own network and of permutations.
    seconds
        Time each stage took.
    space
        Of `embedding_space` by these settings, where it is at hand.
    out
        Folder; the study's ``report`` by default. An older report there is replaced.

    Returns
    -------
    The report page.
    """
    from g2m_data import open_dataset
    from g2m_eval import (
        comparison_section,
        generator_tile,
        generator_tiles,
        generator_warnings,
        study_warnings,
        write_report,
    )
    from g2m_eval.report.page import check_replaceable

    target = out or study.report
    check_replaceable(target, "report")
    dataset = open_dataset(study.dataset)
    spots = load_test_spots(study.dataset)
    encoders = score_encoders(study.run("encoders") / "model", spots)
    resolution = min(int(open_images(study.generated(name)).shape[1]) for name in models)
    judge = open_judge(study, resolution, settings.model, seed=settings.seed)
    yardsticks = Yardsticks(spots, judge, settings.model, seed=settings.seed)
    scores = {
        name: score_generator(study, name, spots, judge, yardsticks, settings.model, seed=settings.seed)
        for name in models
    }
    common = score_at_common_spots(study, scores, judge, settings.model, seed=settings.seed)
    for name, entry in common.items():
        scores[name].metrics["at_common_spots"] = entry
    shown = space_of_study(study, spots, judge, models, settings.model.space, seed=settings.seed, evaluation=space)
    genes_between = interpretation_chapters(study, clusters_id(study, settings))
    record = report_record(study, models, settings)
    metrics: dict[str, Any] = {
        "id": record["id"],
        "dataset": describe_dataset(dataset),
        "encoders": encoders,
        "models": {name: score.metrics for name, score in scores.items()},
        "clusters": shown.metrics,
        **genes_between.metrics,
        "seconds": dict(seconds),
        "peak_rss_gib": round(peak_gib(), 3),
        "seed": settings.seed,
    }
    training_pairs = int((dataset.obs["split"] == "train").sum())
    labelled = {label_of(name): score.metrics for name, score in scores.items()}
    tiles = [generator_tile(label, entry) for label, entry in labelled.items()]
    if len(models) == 1:
        tiles = generator_tiles(scores[models[0]].metrics)
    sections = [
        comparison_section(labelled),
        what_was_drawn(study, models, spots),
        *(chapter for name, score in scores.items() for chapter in chapters_of(name, score, seed=settings.seed)),
        *shown.sections,
        *genes_between.sections,
        how_it_was_trained(study, models, encoders),
    ]
    genes = {
        f"{file_name(name)}-genes.csv": partial(score.conditions.fidelity.genes.to_csv, index=False)
        for name, score in scores.items()
    }
    write_report(
        target,
        title=f"Genes to morphology: {dataset.manifest['study']}",
        lead=f"{training_pairs:,} training pairs, {len(spots):,} test spots, {len(dataset.genes):,} genes",
        metrics=metrics,
        sections=sections,
        summary=[*tiles, encoder_tile(encoders), *genes_between.tiles],
        warnings=[
            *study_warnings([judge.extractor.name], training_pairs=training_pairs),
            *(warning for label, entry in labelled.items() for warning in generator_warnings(label, entry)),
            *shown.warnings,
            *genes_between.warnings,
        ],
        provenance=record,
        files={**genes, "space.h5ad": shown.evaluation.adata.write_h5ad},
    )
    return target / "report.html"


def chapters_of(name: str, score: GeneratorScores, *, seed: int) -> list[ReportSection]:
    """Give one generator's chapters: how its patches look as a set, then spot by spot, then what it took over."""
    from g2m_eval import generator_sections
    from g2m_eval.report.fidelity import fidelity_section, memorisation_section, stain_section

    file, label = file_name(name), label_of(name)
    return [
        *generator_sections(
            file,
            score.evaluation,
            label=label,
            test=score.spots.patches,
            generated=score.generated,
            regions=score.spots.regions,
            seed=seed,
        ),
        fidelity_section(file, score.conditions.fidelity, label=label),
        memorisation_section(file, score.conditions.memorisation, label=label),
        stain_section(file, score.conditions.stain, label=label),
    ]


def report_record(study: Study, models: Sequence[str], settings: RunSettings[EvaluationSettings]) -> dict[str, Any]:
    """Describe the report that these artefacts and settings give."""
    interpreted = interpretation_folders(study, clusters_id(study, settings))
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        "embeddings": embeddings_id(study.embeddings),
        **{
            f"generated/{name}": folder_id(study.generated(name)) for model in models for name in with_companions(model)
        },
        **{name: folder_id(folder) for name, folder in interpreted.items()},
    }
    return provenance("report", learned(settings), parents)


def report_id(folder: Path) -> str | None:
    """Read the id of a report."""
    try:
        return str(json.loads((folder / "metrics.json").read_text())["id"])
    except (OSError, KeyError, json.JSONDecodeError):
        return None


def encoder_tile(encoders: Mapping[str, float]) -> Any:
    """Summarise retrieval."""
    from g2m_eval import SummaryTile

    times = encoders["retrieval_top5"] / encoders["chance_top5"]
    return SummaryTile(
        label="Expression and patch find each other (top 5)",
        value=f"{100 * encoders['retrieval_top5']:.0f} %",
        note=f"{times:.0f} x chance, within one test section, both directions",
    )


def what_was_drawn(study: Study, models: Sequence[str], spots: TestSpots) -> ReportSection:
    """Show the paper's Figure 2 for each generator: real patch, then generated ones, a row a spot, a column a noise."""
    from g2m_eval import ReportSection

    return ReportSection(title="What the genes drew", figures=[figure_of_spots(study, name, spots) for name in models])


def figure_of_spots(study: Study, name: str, spots: TestSpots) -> ReportFigure:
    """Draw one generator's Figure 2."""
    from g2m_eval import ReportFigure, figure_generated

    folder = study.generated(f"{name}-figure")
    images, index, _ = read_generated(folder)
    noises = index["seed"].nunique()
    rows = spots.find(index["spot"].iloc[::noises], folder)
    labels = list(spots.samples[rows])
    if spots.regions is not None:
        regions = np.asarray(spots.regions)[rows]
        order = np.argsort(regions, kind="stable")
        rows, labels = rows[order], [f"{labels[place]}\n{regions[place]}" for place in order]
        images = images.reshape(-1, noises, *images.shape[1:])[order].reshape(images.shape)
    figure = figure_generated(
        spots.patches[rows],
        images.reshape(len(rows), noises, *images.shape[1:]),
        labels,
        patch_um=spots.patch_um[0],
    )
    caption = (
        f"{label_of(name)}. Rows: {len(rows)} spots of test sections, never seen in training. Left, the real patch; "
        f"then patches drawn from the spot's expression with {noises} noise vectors, the same in every row (the "
        "paper's Figure 2)."
    )
    return ReportFigure(name=f"generated-{file_name(name)}", figure=figure, caption=caption)


def how_it_was_trained(study: Study, models: Sequence[str], encoders: Mapping[str, float]) -> ReportSection:
    """Show the curves of every run behind the report."""
    from g2m_eval import ReportFigure, ReportSection, figure_training

    figures = []
    for name in runs_behind(study, models):
        folder = study.run(name)
        rows = [row for row in read_metrics(folder) if "images_per_second" in row]
        record = read_provenance(folder) or {}
        figures.append(
            ReportFigure(
                name=f"training-{file_name(name)}",
                figure=figure_training(rows),
                caption=f"Training of {name} (run {record.get('id')}), by images seen.",
            )
        )
    text = (
        f"On test sections the contrastive loss is {encoders['loss']:.3f}; unrelated pairs would give "
        f"{encoders['loss_chance']:.3f}, and perfect ones {encoders['loss_floor']:.3f}."
    )
    return ReportSection(title="How it was trained", text=text, figures=figures)


def peak_gib() -> float:
    """Peak resident memory of this process or of its largest child, in GiB (the system counts in KiB)."""
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kib / 2**20
