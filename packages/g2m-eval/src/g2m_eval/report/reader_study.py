"""What a report says about a reader study (the paper's Table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.image import imread

from g2m_eval.errors import InputError
from g2m_eval.figures.reader_study import figure_difficulty, figure_readers
from g2m_eval.reader_study.layout import open_study, read_images
from g2m_eval.reader_study.score import MEASURES, ReaderScores
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile

_NAMES = dict(zip(MEASURES, ("accuracy", "precision", "recall", "d′"), strict=True))
_CHANCE = {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "d_prime": 0.0}


def reader_table(scores: ReaderScores, published: Mapping[str, tuple[float, float]] | None = None) -> pd.DataFrame:
    """Table 2: mean (SD) over readers and the mean's interval, with published means (SD) beside them."""
    rows = scores.summary.set_index("measure")
    table = pd.DataFrame({
        "measure": [_NAMES[measure] for measure in rows.index],
        "mean (SD)": [_mean_sd(row["mean"], row["sd"]) for _, row in rows.iterrows()],
        "95 % interval of the mean": [_ends(row["low"], row["high"]) for _, row in rows.iterrows()],
        "guessing": [_CHANCE[str(measure)] for measure in rows.index],
    })  # fmt: skip
    if published is not None:
        cells = [_mean_sd(*published[str(m)]) if m in published else "–" for m in rows.index]
        table.insert(2, "published", cells)
    return table


def reader_section(
    scores: ReaderScores, folder: Path, *, published: Mapping[str, tuple[float, float]] | None = None
) -> ReportSection:
    """Give the chapter: table, accuracy of each reader, hardest and easiest images.

    Parameters
    ----------
    scores
        Of `score_study`.
    folder
        The study, for its pictures.
    published
        Mean and SD over readers by measure (accuracy, precision, recall), shown beside.

    Raises
    ------
    InputError
        A picture is missing or damaged.
    """
    answers = int(scores.readers["answers"].sum())
    pictures = {name: _decode(name, png) for name, png in read_images(open_study(folder)).items()}
    beside = "" if published is None else " Published: other readers, other images, another generator."
    partly = "" if (scores.readers["answers"] == len(scores.images)).all() else " whatever number they answered"
    caption = (
        f"{len(scores.readers)} readers, {len(scores.images)} images, half of them real, half by {scores.model}, "
        f"{answers} answers. Mean (SD) over readers, each weighing alike{partly}; positive is “generated”. "
        "Intervals resample readers and images. "
        f"d′ is 0 when guessing, log-linear.{beside}"
    )
    by_chance = (
        "" if np.isnan(scores.kappa) else f" Readers agreed with Fleiss' kappa {scores.kappa:.2f} (0: by chance)."
    )
    exact = (
        f"Of all answers {100 * scores.pooled.value:.1f} % were correct; were they independent, the exact interval "
        f"would be {100 * scores.pooled.low:.1f} to {100 * scores.pooled.high:.1f} %.{by_chance}"
    )
    return ReportSection(
        title="Reader study",
        text="\n\n".join([exact, *_about_unfinished(scores)]),
        figures=[
            ReportFigure(
                name="readers",
                figure=figure_readers(
                    scores.readers, scores.mean("accuracy"), published=(published or {}).get("accuracy")
                ),
                caption=f"Images told correctly by each reader, with exact (Clopper-Pearson) 95 % intervals, and their "
                f"mean with an interval that resamples readers and images. Images by {scores.model}.{beside}",
            ),
            ReportFigure(
                name="readers-difficulty",
                figure=figure_difficulty(scores.images, pictures),
                caption="The images most often taken for what they are not, and those most often told correctly. Frame "
                "and first line are the truth; below, how many of the readers were right.",
            ),
        ],
        tables=[
            ReportTable(table=reader_table(scores, published), caption=caption, name="table-2", number="Table 2"),
            ReportTable(
                table=scores.readers,
                caption="Each reader. low and high: exact 95 % interval of accuracy; precision and recall for "
                "“generated”, recall_real is the share of real images called real.",
                name="readers",
            ),
        ],
    )  # fmt: skip


def reader_tiles(scores: ReaderScores) -> list[SummaryTile]:
    """The study's headline: accuracy against guessing."""
    accuracy = scores.mean("accuracy")
    return [
        SummaryTile(
            label="Readers told real from generated",
            value=f"{100 * accuracy.value:.0f} %",
            note=f"95 % interval {100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %; guessing 50 %",
        )
    ]


def reader_warnings(scores: ReaderScores) -> list[str]:
    """Plain sentences about what the study does not show."""
    accuracy = scores.mean("accuracy")
    found = _about_unfinished(scores)
    if len(scores.readers) < 5:
        found.append(f"Only {len(scores.readers)} readers: the interval cannot say much about others.")
    if accuracy.low <= 0.5 <= accuracy.high:
        found.append(
            f"The readers' accuracy cannot be told from guessing, but up to {100 * accuracy.high:.0f} % is compatible "
            f"with it: absence of a difference is not shown."
        )
    return found


def _about_unfinished(scores: ReaderScores) -> list[str]:
    partial = scores.readers.loc[scores.readers["answers"] < len(scores.images), "reader"]
    begun = [f"{reader} ({answers})" for reader, answers in scores.left_out.items() if answers]
    found = []
    if len(partial):
        found.append(f"Counted although they left images out, each like one who left out none: {', '.join(partial)}.")
    if begun:
        found.append(f"Not counted, because they have not answered enough images: {', '.join(begun)}.")
    if len(begun) < len(scores.left_out):
        found.append(f"{len(scores.left_out) - len(begun)} invited readers have not begun.")
    return found


def _mean_sd(mean: float, sd: float) -> str:
    if np.isnan(mean):
        return "–"
    return f"{mean:.3f}" if np.isnan(sd) else f"{mean:.3f} ({sd:.3f})"


def _ends(low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{low:.3f} to {high:.3f}"


def _decode(name: str, png: bytes) -> np.ndarray:
    try:
        return np.asarray(np.rint(255 * imread(BytesIO(png), format="png")[..., :3]), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"picture {name} of the study is damaged: put it back there") from error
