"""What a report says about one generator: tiles, warnings, and a chapter of figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from g2m_eval.evaluate import PURITY, GeneratorEvaluation
from g2m_eval.figures import figure_by_region, figure_confusion, figure_distances, figure_factors
from g2m_eval.report.comparison import count_followed, follows
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile

FEW_PAIRS = 5000


def generator_tiles(metrics: Mapping[str, Any]) -> list[SummaryTile]:
    """The headline numbers of ``models.<name>``, each with what to hold it against."""
    tiles = [
        SummaryTile(
            label="Fréchet distance to real test patches",
            value=f"{metrics['frechet_generated_vs_test']:.3g}",
            note=f"shuffled conditions {metrics['frechet_shuffled_vs_test']:.3g}, "
            f"real training patches {metrics['frechet_train_vs_test']:.3g}; not Inception",
        )
    ]
    if "region_accuracy" in metrics:
        tiles.append(
            SummaryTile(
                label="Generated patches of the right region",
                value=f"{100 * metrics['region_accuracy']:.0f} %",
                note=f"balanced; real patches {100 * metrics['region_accuracy_real']:.0f} %, "
                f"mean colour alone {100 * metrics['region_accuracy_mean_rgb']:.0f} %",
            )
        )
    factors = metrics.get("factors")
    if factors:
        tiles.append(
            SummaryTile(
                label="Factors that generated patches follow",
                value=f"{count_followed(factors)} of {len(factors)}",
                note="within regions, sign as in real patches, p < 0.01",
            )
        )
    return tiles


def generator_tile(label: str, metrics: Mapping[str, Any]) -> SummaryTile:
    """One generator's headline among several: its regions, or its distance where no truth is known."""
    distance = (
        f"Fréchet distance {metrics['frechet_generated_vs_test']:.3g}, "
        f"real training patches {metrics['frechet_train_vs_test']:.3g}"
    )
    if "region_accuracy" not in metrics:
        return SummaryTile(
            label=f"{label}: Fréchet distance to real test patches",
            value=f"{metrics['frechet_generated_vs_test']:.3g}",
            note=f"real training patches {metrics['frechet_train_vs_test']:.3g}; not Inception",
        )
    factors = metrics.get("factors", {})
    followed = f"; factors followed {count_followed(factors)} of {len(factors)}" if factors else ""
    return SummaryTile(
        label=f"{label}: patches of the right region",
        value=f"{100 * metrics['region_accuracy']:.0f} %",
        note=f"real patches {100 * metrics['region_accuracy_real']:.0f} %; {distance}{followed}",
    )


def study_warnings(extractors: Sequence[str], *, training_pairs: int) -> list[str]:
    """Plain sentences about what no number of a report shows, whatever the generator."""
    networks = " and ".join(dict.fromkeys(extractors))
    found = [
        f"The distances use {networks}, a small network of this run's own, and are not FID or KID: compare "
        f"them with one another on this page, never with published values."
    ]
    if training_pairs < FEW_PAIRS:
        found.append(
            f"Only {training_pairs} training pairs: published models of this kind saw some 300,000. Expect blurred and "
            f"repetitive tissue, and do not read biology into single patches."
        )
    return found


def generator_warnings(label: str, metrics: Mapping[str, Any]) -> list[str]:
    """Plain sentences about what one generator's numbers do not show, each with its name in front."""
    return [f"{label}: {sentence}" for sentence in _warnings_of(metrics)]


def _warnings_of(metrics: Mapping[str, Any]) -> list[str]:
    n = metrics["n"]["generated"]
    found = []
    if n < 2048:
        found.append(f"{n} generated patches: Fréchet distances of so few images are biased upward.")
    generated, shuffled = metrics["frechet_generated_vs_test"], metrics["frechet_shuffled_vs_test"]
    apart = generated / max(metrics["frechet_train_vs_test"], 1e-9)
    if apart > 3:
        found.append(
            f"Generated patches are {apart:.0f} times as far from the real test patches as real training patches are: "
            f"whatever else they follow, nobody would take them for photographs of tissue."
        )
    if generated >= 0.98 * shuffled:
        found.append(
            "Patches from permuted expression are as close to the real ones as those from the right expression. "
            "That says little when spots are drawn alike from all regions, since a distance between whole sets does "
            "not see which patch belongs to which spot."
        )
    if "region_accuracy" in metrics:
        if metrics["region_accuracy_real"] < 0.9:
            found.append(
                "The classifier of regions errs on real patches too, so its verdict on generated ones is worth less."
            )
        if metrics["region_accuracy_mean_rgb"] > 0.6:
            found.append(
                "Mean colour alone tells most regions apart, so the right region proves little more than "
                "the right colour."
            )
        elif metrics["region_accuracy"] < metrics["region_accuracy_mean_rgb"]:
            found.append(
                "Generated patches show their region less clearly than the mean colour of real ones does: "
                "more training is needed."
            )
        poor = [name for name, recall in metrics["region_recall"].items() if recall < 0.3]
        if poor:
            found.append(f"Rarely recognised when generated: {', '.join(sorted(poor))}.")
    silent = [name for name, f in metrics.get("factors", {}).items() if not follows(f)]
    if silent:
        found.append(
            f"No evidence that generated patches follow: {', '.join(name.replace('_', ' ') for name in silent)}."
        )
    return found


def generator_sections(
    name: str,
    evaluation: GeneratorEvaluation,
    *,
    label: str,
    test: UInt8[np.ndarray, "n height width 3"],
    generated: UInt8[np.ndarray, "n size size 3"],
    regions: Sequence[str] | None = None,
    region_order: Sequence[str] | None = None,
    seed: int = 0,
) -> list[ReportSection]:
    """Chapters on distances, regions and factors, or, without truth, on the correspondence with the same spots.

    Parameters
    ----------
    name, label
        Of the model, for figure names and for titles.
    test, generated
        One real and one generated patch a test spot.
    regions, region_order
        Region of each test spot, and the order in which to show them.
    """
    metrics = evaluation.metrics
    n = metrics["n"]
    with_what = (
        f"Extractor: {metrics['extractor']}. N = {n['generated']} generated, {n['test']} real test patches at "
        f"{metrics['resolution']} px ({metrics['resize']})."
    )
    distances = {
        "real training": metrics["frechet_train_vs_test"],
        "generated": metrics["frechet_generated_vs_test"],
        "generated, shuffled": metrics["frechet_shuffled_vs_test"],
    }
    rows = [{"compared with real test patches": k, "Fréchet distance": v} for k, v in distances.items()]
    sections = [
        ReportSection(
            title=f"{label}: do generated patches look like real ones?",
            text="Distances between whole sets of patches: they see sharpness, texture and variety, not whether "
            "a patch belongs to its spot.",
            figures=[
                ReportFigure(
                    name=f"{name}-distances",
                    figure=figure_distances(distances, extractor=metrics["extractor"], n=n["generated"]),
                    caption="Fréchet distances to the real patches of the test sections; lower is closer. Real "
                    f"training patches ({n['train']} drawn) show what differs between sections anyway; shuffled "
                    f"patches were generated from permuted expressions. {with_what}",
                )
            ],
            tables=[
                ReportTable(
                    table=pd.DataFrame(rows),
                    caption=f"{with_what} Kernel distance of generated to test patches: "
                    f"{metrics['kernel_generated_vs_test']:.4f} (sd {metrics['kernel_generated_vs_test_sd']:.4f}; "
                    f"{metrics['kernel_subsets']} subsets of {metrics['kernel_subset_size']}).",
                )
            ],
        )
    ]
    if evaluation.regions:
        sections.append(_region_section(name, label, evaluation, test, generated, regions, region_order, seed))
    if len(evaluation.factors):
        sections.append(_factor_section(name, label, evaluation))
    sections.append(_correspondence_section(label, evaluation))
    return sections


def _region_section(
    name: str,
    label: str,
    evaluation: GeneratorEvaluation,
    test: UInt8[np.ndarray, "n height width 3"],
    generated: UInt8[np.ndarray, "n size size 3"],
    regions: Sequence[str] | None,
    order: Sequence[str] | None,
    seed: int,
) -> ReportSection:
    metrics = evaluation.metrics
    protocol = (
        f"Classified by {metrics['extractor']}, which saw real training patches only, on "
        f"{metrics['n']['scored_spots']} test spots that are at least {PURITY:.0%} one region."
    )
    figures = [
        ReportFigure(
            name=f"{name}-confusion",
            figure=figure_confusion(evaluation.regions),
            caption=f"{protocol} The last panel is a classifier that sees nothing but a real patch’s mean colour.",
        )
    ]
    if regions is not None:
        pure = evaluation.scored
        picked = figure_by_region(
            test[pure], generated[pure], np.asarray(regions, dtype=str)[pure].tolist(), order=order, seed=seed
        )
        figures.insert(
            0,
            ReportFigure(
                name=f"{name}-by-region",
                figure=picked,
                caption="Real patches and, at the same places of the right half, what was generated from the "
                "expression of the same spots, drawn at random.",
            ),
        )
    recalls = pd.DataFrame({title: scores.recall for title, scores in evaluation.regions.items()}).reset_index(
        names="region"
    )
    text = (
        "A network trained on the regions of real training patches names the region of each patch. Balanced "
        "accuracy counts every region alike."
    )
    return ReportSection(
        title=f"{label}: do generated patches show the right region?",
        text=text,
        figures=figures,
        tables=[ReportTable(table=recalls, caption=f"Share recognised of each region. {protocol}")],
    )


def _factor_section(name: str, label: str, evaluation: GeneratorEvaluation) -> ReportSection:
    caption = (
        "Spearman’s ρ between the true factor at a spot and a statistic of its patch, measured by image "
        "processing, within one region of one section, averaged with weights n − 1. p: two-sided, permutations "
        "within regions, for generated patches; neighbouring spots count as independent, so it is optimistic."
    )
    return ReportSection(
        title=f"{label}: do generated patches follow the genes within a region?",
        text="Each factor is driven by known genes and varies within regions. What real patches reach is the "
        "ceiling of this measurement.",
        figures=[ReportFigure(name=f"{name}-factors", figure=figure_factors(evaluation.factors), caption=caption)],
        tables=[ReportTable(table=evaluation.factors.drop(columns=["sign"]), caption=caption)],
    )


def _correspondence_section(label: str, evaluation: GeneratorEvaluation) -> ReportSection:
    return ReportSection(
        title=f"{label}: do generated patches vary as the real ones of the same spots?",
        text="This needs no truth: over the spots of a section, each image statistic of the generated patch "
        "against that of the real patch.",
        tables=[
            ReportTable(
                table=evaluation.correspondence,
                caption="Spearman’s ρ within sections, averaged; two-sided permutation p; patches at "
                f"{evaluation.metrics['resolution']} px.",
            )
        ],
    )
