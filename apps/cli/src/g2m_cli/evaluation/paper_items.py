"""The paper's tables and figures, one builder each: this study's results beside the published ones.

A builder says what may be compared and what may not; where a study has not got what it needs, it says which command
makes that, and shows the published values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from g2m_cli.evaluation.scoring import TestSpots, load_test_spots
from g2m_cli.models import family_of, label_of
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from g2m_cli.evaluation.space import StudySpace
    from g2m_cli.settings import RunSettings
    from g2m_eval import EvaluationSettings, ReportFigure, ReportTable
    from g2m_eval.reader_study.score import ReaderScores
    from g2m_eval.space.evaluate import SpaceEvaluation

_PUBLISHED_STRENGTH = 3.0


@dataclass(frozen=True)
class PaperStudy:
    """What the builders draw on; each part is read once, when the first of them asks for it."""

    study: Study
    models: tuple[str, ...]
    settings: RunSettings[EvaluationSettings]
    reader_study: Path | None = None
    found: SpaceEvaluation | None = None
    """The embedding space by these settings, where it is at hand."""

    @cached_property
    def spots(self) -> TestSpots:
        """Test spots with their real patches."""
        return load_test_spots(self.study.dataset)

    @cached_property
    def space(self) -> StudySpace:
        """Clusters, layouts, and the features of patches."""
        from g2m_cli.evaluation.space import judge_of, space_of_study

        judge = judge_of(self.study, self.models, self.settings)
        settings = self.settings.model.space
        return space_of_study(
            self.study, self.spots, judge, self.models, settings, seed=self.settings.seed, evaluation=self.found
        )

    @cached_property
    def reader_scores(self) -> ReaderScores | None:
        """What readers could tell; None where no reader study is given."""
        from g2m_eval.reader_study.score import score_study

        return None if self.reader_study is None else score_study(self.reader_study, seed=self.settings.seed)


@dataclass(frozen=True, kw_only=True)
class Built:
    """One table or figure of the paper for a study."""

    text: str
    """What is comparable, and what not."""
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Entries of ``metrics.json``: ``ours`` and ``published``."""


@dataclass(frozen=True, kw_only=True)
class PaperItem:
    """A table or figure of the paper."""

    number: str
    title: str
    build: Callable[[PaperStudy, PaperItem], Built]

    @property
    def name(self) -> str:
        """Of its files, and its key in ``metrics.json``: ``table1``, ``figureC_1``."""
        kind, _, number = self.number.partition(" ")
        return kind.lower() + number.replace(".", "_")


def readers(paper: PaperStudy, item: PaperItem) -> Built:
    """Table 2: could readers tell generated from real?"""
    from g2m_eval.report.published import READER_IMAGES, READER_SCORES, READERS, published_readers
    from g2m_eval.report.reader_study import reader_table

    published = published_readers()
    theirs = (
        f"Published: {READERS} veterinary pathologists, {READER_IMAGES} images, real and StyleGAN-G's; mean and SD."
    )
    scores = paper.reader_scores
    if scores is None:
        text = (
            f"{theirs} Ours needs readers: `g2m eval study create {paper.study.root}` prepares the images, `g2m eval "
            "study serve` shows them, and `g2m eval paper … --reader-study FOLDER` puts the scores here."
        )
        return Built(
            text=text, tables=[table_of(item, published, theirs)], metrics={"published": records_of(published)}
        )
    caption = (
        f"{theirs} Ours: {len(scores.readers)} readers, {len(scores.images)} images, real and "
        f"{label_of(scores.model)}'s; mean (SD) over readers, and the mean's 95 % interval."
    )
    text = (
        "Accuracies are comparable as answers to the same question, as far as readers, tissue and images are alike: "
        "0.5 is guessing in both. The paper does not say which class its precision and recall take for positive; ours "
        "take generated. Images of other sections, another size and other readers make another task."
    )
    return Built(
        text=text,
        tables=[table_of(item, reader_table(scores, READER_SCORES), caption)],
        metrics={"published": records_of(published), "ours": scores.metrics},
    )


def generated(paper: PaperStudy, item: PaperItem) -> Built:
    """Figure 2: rows of one prompt, columns of one noise vector, for each generator at the paper's strength."""
    from dataclasses import replace

    from g2m_cli.evaluation.reporting import figure_of_spots

    shown = at_published_strength(paper.models)
    figures = [
        replace(figure_of_spots(paper.study, name, paper.spots), number=f"{item.number}{letter}")
        for name, letter in zip(shown, ascii_lowercase, strict=False)
    ]
    others = [name for name in shown if _strength(name) not in (None, _PUBLISHED_STRENGTH)]
    text = (
        "As in the paper: the real patch of each prompt leftmost, one noise vector a column, the same in every row. "
        "There the generators are StyleGAN-G and Stable Diffusion at w = 3, on spots of the real test sections at "
        "128 px; here they are this study's, on its own test spots, at the size they draw."
    )
    if others:
        text += f" Not drawn at w = 3 here: {', '.join(map(label_of, others))}."
    return Built(text=text, figures=figures, metrics={"ours": {"models": list(shown)}})


def at_published_strength(models: Sequence[str]) -> list[str]:
    """Give one name for each generator: of several guidance strengths the one nearest to the paper's 3."""
    nearest: dict[str, str] = {}
    for name in models:
        family = family_of(name)
        if family not in nearest or _distance(name) < _distance(nearest[family]):
            nearest[family] = name
    return list(nearest.values())


def _strength(name: str) -> float | None:
    _, separator, strength = name.rpartition("-w")
    return float(strength) if separator else None


def _distance(name: str) -> float:
    strength = _strength(name)
    return 0.0 if strength is None else abs(strength - _PUBLISHED_STRENGTH)


def table_of(item: PaperItem, table: pd.DataFrame, caption: str) -> ReportTable:
    """Number and name a table as the paper does."""
    from g2m_eval import ReportTable

    return ReportTable(table=table, caption=caption, name=item.name, number=item.number)


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table's rows as ``metrics.json`` holds them."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
