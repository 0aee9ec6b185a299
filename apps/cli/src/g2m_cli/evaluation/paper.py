"""`g2m eval paper`: the paper's tables and figures for any study, numbered as there, with the published values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import say, track
from g2m_cli.evaluation.paper_colours import colours
from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, generated, readers
from g2m_cli.evaluation.paper_quality import quality
from g2m_cli.evaluation.paper_space import agreement, embeddings, mixing
from g2m_cli.evaluation.paper_terms import enrichment
from g2m_cli.models import with_companions
from g2m_cli.provenance import fingerprint, provenance
from g2m_cli.settings import learned
from g2m_cli.study import dataset_id, embeddings_id, folder_id

if TYPE_CHECKING:
    from g2m_eval import ReportSection

ITEMS: tuple[PaperItem, ...] = (
    PaperItem(number="Table 1", title="Quality of generated patches", build=quality),
    PaperItem(number="Table 2", title="Expert readers: real or generated?", build=readers),
    PaperItem(number="Table 3", title="Enriched cellular components, sample 4", build=enrichment),
    PaperItem(number="Figure 2", title="Patches generated from expression prompts", build=generated),
    PaperItem(number="Figure 3", title="The embedding space and its clusters on the tissue", build=embeddings),
    PaperItem(number="Figure C.1", title="Slides differ in hue and stain, and generated patches", build=colours),
    PaperItem(number="Figure D.1", title="Real and generated patches by what a network makes of them", build=mixing),
    PaperItem(number="Figure E.1", title="Joint clusters of embeddings and of raw expression", build=agreement),
    PaperItem(number="Table F.1", title="Enriched cellular components, sample 2", build=enrichment),
    PaperItem(number="Table F.2", title="Enriched cellular components, sample 3", build=enrichment),
    PaperItem(number="Table F.3", title="Enriched cellular components, sample 5", build=enrichment),
)
"""What the page shows, in order."""


def write_paper(paper: PaperStudy, *, out: Path | None = None, items: Sequence[PaperItem] = ITEMS) -> Path:
    """Write report.html, metrics.json, figures and tables of the paper's results for a study.

    Parameters
    ----------
    paper
        Whose artefacts, and how what is not there yet is computed.
    out
        Folder; the study's ``paper`` by default. A page of the same artefacts and settings there is kept, an older one
        replaced.

    Returns
    -------
    The page.

    Raises
    ------
    InputError
        The folder holds something else, or what an item is made of is not as it should be.
    """
    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target = out or paper.study.root / "paper"
    check_replaceable(target, "paper")
    record = paper_record(paper, items)
    if folder_id(target) == record["id"]:
        say(f"{target}: unchanged, kept")
        return target / "report.html"
    dataset = open_dataset(paper.study.dataset)
    built: list[Built] = [item.build(paper, item) for item in track(items, "the paper's tables and figures")]
    write_report(
        target,
        title=f"The paper's tables and figures: {dataset.manifest['study']}",
        lead="Numbered as in Lohmann, Valdeolivas, Vasiljević, Connecting Gene Expression and Tissue Morphology with "
        "Conditional Generative Models",
        metrics={
            "id": record["id"],
            "paper": {item.name: dict(part.metrics) for item, part in zip(items, built, strict=True)},
            "seed": paper.settings.seed,
        },
        sections=[section_of(item, part) for item, part in zip(items, built, strict=True)],
        warnings=what_to_make_of_it(paper, dataset.truth() is not None),
        provenance=record,
    )
    return target / "report.html"


def section_of(item: PaperItem, built: Built) -> ReportSection:
    """Give an item its chapter, under the paper's number."""
    from g2m_eval import ReportSection

    return ReportSection(
        title=f"{item.number}. {item.title}", text=built.text, figures=built.figures, tables=built.tables
    )


def what_to_make_of_it(paper: PaperStudy, invented: bool) -> list[str]:
    """Say what stands beside what."""
    sections = len(set(paper.spots.samples.tolist()))
    found = [
        "Published values are of six sections of healthy mouse kidney: one to train on, five of 9,132 spots to test. "
        f"Ours are of this study: {len(paper.spots):,} test spots of {sections} section{'s' if sections > 1 else ''}. "
        "Standing side by side does not make two numbers comparable; each chapter says what is.",
    ]
    if invented:
        found.insert(0, "This study's tissue is invented (a phantom): nothing on this page is a finding about kidneys.")
    return found


def paper_record(paper: PaperStudy, items: Sequence[PaperItem]) -> dict[str, Any]:
    """Describe the page that these artefacts and settings give."""
    study = paper.study
    parents = {
        "dataset": dataset_id(study.dataset),
        "embeddings": embeddings_id(study.embeddings),
        "report": folder_id(study.report),
        "images": folder_id(study.root / "images"),
        "enrichment": folder_id(study.root / "interpret" / "enrichment"),
        **{
            f"generated/{name}": folder_id(study.generated(name))
            for model in paper.models
            for name in with_companions(model)
        },
    }
    settings = {
        **learned(paper.settings),
        "models": list(paper.models),
        "items": [f"{item.number}: {item.build.__name__}" for item in items],
        "reader_study": None if paper.reader_scores is None else fingerprint(paper.reader_scores.metrics),
    }
    return provenance("paper", settings, parents)
