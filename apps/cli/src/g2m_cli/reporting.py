"""The report of a study: numbers, pictures and what to make of them."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.generation import read_generated
from g2m_cli.metrics_log import read_metrics
from g2m_cli.provenance import provenance, read_provenance
from g2m_cli.scoring import TestSpots, describe_dataset, load_test_spots, score_encoders, score_generator
from g2m_cli.settings import RunSettings, learned
from g2m_cli.study import Study, dataset_id, embeddings_id, folder_id

if TYPE_CHECKING:
    from g2m_eval import EvaluationSettings, ReportSection, SmallExtractor


def write_study_report(
    study: Study, settings: RunSettings[EvaluationSettings], *, seconds: Mapping[str, float], out: Path | None = None
) -> Path:
    """Score a study's artefacts and write report.html, metrics.json and figures.

    Parameters
    ----------
    study
        Whose artefacts.
    settings
        How to score; the seed is that of the metrics' own network and of permutations.
    seconds
        Time each stage took.
    out
        Folder; the study's ``report`` by default. An older report there is replaced.

    Returns
    -------
    The report page.
    """
    from g2m_data import open_dataset
    from g2m_eval import generator_sections, generator_tiles, generator_warnings, write_report

    target = out or study.report
    dataset = open_dataset(study.dataset)
    spots = load_test_spots(study.dataset)
    encoders = score_encoders(study.encoders / "model", spots)
    scores = score_generator(study, "gan", spots, settings.model, seed=settings.seed)
    keep_extractor(scores.extractor, study)
    record = report_record(study, settings)
    metrics: dict[str, Any] = {
        "id": record["id"],
        "dataset": describe_dataset(dataset),
        "encoders": encoders,
        "models": {"gan": scores.evaluation.metrics},
        "seconds": dict(seconds),
        "peak_rss_gib": round(peak_gib(), 3),
        "seed": settings.seed,
    }
    training_pairs = int((dataset.obs["split"] == "train").sum())
    regions = None if spots.truth is None else spots.truth["region"].astype(str).tolist()
    sections = [
        what_was_drawn(study, spots),
        *generator_sections(
            "gan", scores.evaluation, test=spots.patches, generated=first_of_each(scores.generated, len(spots.patches)),
            regions=regions, seed=settings.seed,
        ),
        how_it_was_trained(study, encoders),
    ]  # fmt: skip
    write_report(
        target,
        title=f"Genes to morphology: {dataset.manifest['study']}",
        lead=f"{training_pairs:,} training pairs, {len(spots.patches):,} test spots, {len(dataset.genes):,} genes",
        metrics=metrics,
        sections=sections,
        summary=[*generator_tiles(scores.evaluation.metrics), encoder_tile(encoders)],
        warnings=generator_warnings(scores.evaluation.metrics, training_pairs=training_pairs),
        provenance=record,
    )
    return target / "report.html"


def keep_extractor(extractor: SmallExtractor, study: Study) -> None:
    """Save the metrics' network under its name, which tells its weights: what is there already is the same."""
    folder = study.root / "runs" / "extractors" / extractor.name.replace(" ", "-")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        extractor.save(folder)


def report_record(study: Study, settings: RunSettings[EvaluationSettings]) -> dict[str, Any]:
    """Describe the report that these artefacts and settings give."""
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.encoders),
        "embeddings": embeddings_id(study.embeddings),
        **{f"generated/{folder.name}": folder_id(folder) for folder in sorted(study.generated("").iterdir())},
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


def what_was_drawn(study: Study, spots: TestSpots) -> ReportSection:
    """Show the paper's Figure 2: real patch, then generated ones, a row a spot, a column a noise vector."""
    import pandas as pd

    from g2m_eval import ReportFigure, ReportSection, figure_generated

    images, index, _ = read_generated(study.generated("gan-figure"))
    noises = index["seed"].nunique()
    rows = spots.dataset.obs.index.get_indexer(pd.Index(index["spot"])[::noises])
    regions = None if spots.truth is None else spots.truth["region"].to_numpy().astype(str)
    labels = [spots.samples[row] + ("" if regions is None else f"\n{regions[row]}") for row in rows]
    if regions is not None:
        order = np.argsort(regions[rows], kind="stable")
        rows, labels = rows[order], [labels[place] for place in order]
        images = images.reshape(-1, noises, *images.shape[1:])[order].reshape(images.shape)
    patch_um = next(
        float(entry["patch_um"]) for entry in spots.dataset.manifest["samples"].values() if entry["split"] == "test"
    )
    figure = figure_generated(
        spots.patches[rows], images.reshape(len(rows), noises, *images.shape[1:]), labels, patch_um=patch_um
    )
    caption = (
        f"Rows: {len(rows)} spots of test sections, never seen in training. Left, the real patch; then patches drawn "
        f"from the spot's expression by StyleGAN-G with {noises} noise vectors, the same in every row (the paper's "
        "Figure 2)."
    )
    return ReportSection(
        title="What the genes drew", figures=[ReportFigure(name="generated", figure=figure, caption=caption)]
    )


def how_it_was_trained(study: Study, encoders: Mapping[str, float]) -> ReportSection:
    """Show both training runs' curves."""
    from g2m_eval import ReportFigure, ReportSection, figure_training

    figures = []
    for name, folder in (("encoders", study.encoders), ("gan", study.gan)):
        rows = [row for row in read_metrics(folder) if "images_per_second" in row]
        record = read_provenance(folder) or {}
        figures.append(
            ReportFigure(
                name=f"training-{name}",
                figure=figure_training(rows),
                caption=f"Training of {name} (run {record.get('id')}), by images seen.",
            )
        )
    text = (
        f"On test sections the contrastive loss is {encoders['loss']:.3f}; unrelated pairs would give "
        f"{encoders['loss_chance']:.3f}, and perfect ones {encoders['loss_floor']:.3f}."
    )
    return ReportSection(title="How it was trained", text=text, figures=figures)


def first_of_each(generated: np.ndarray[Any, np.dtype[np.uint8]], spots: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Give one generated patch a spot."""
    return generated[:: len(generated) // spots]


def peak_gib() -> float:
    """Peak resident memory of this process or of its largest child, in GiB (the system counts in KiB)."""
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kib / 2**20
