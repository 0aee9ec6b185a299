"""What a report says of condition fidelity, memorisation and stain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from g2m_eval.fidelity.evaluate import FidelityEvaluation
from g2m_eval.figures.fidelity import NAMES, figure_fidelity, figure_genes
from g2m_eval.figures.memorisation import figure_closest, figure_nearest
from g2m_eval.figures.stain import figure_stain
from g2m_eval.memorisation import MemorisationEvaluation
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable
from g2m_eval.stain import StainEvaluation


def fidelity_section(name: str, evaluation: FidelityEvaluation, *, label: str) -> ReportSection:
    """Chapter on whether each image matches its own spot.

    Parameters
    ----------
    name, label
        Of the model, for file names and for titles.
    """
    metrics = evaluation.metrics
    protocol, retrieval, read = metrics["protocol"], metrics["retrieval"], metrics["transcriptome"]
    error, share = metrics["nuclei"]["relative_error"], read["share"]
    what = (
        f"{protocol['generated']} generated and {protocol['shuffled']} shuffled patches of {protocol['spots']} test "
        f"spots at {protocol['resolution']} px; extractor {protocol['extractor']}, which took no part in training a "
        f"generator; 95 % intervals from {protocol['resamples']} draws of spots within sections."
    )
    text = (
        f"Floor: patches from permuted expression. Ceiling: what real tissue reaches. To be found (chance "
        f"{retrieval['chance']:.3f}) and in its nuclei, an image is held against the real patch of its spot, and the "
        "ceiling is a second look, the real patch displaced by a quarter of its width; for region and expression it is "
        "the real patch itself. It is no bound: an image that showed expression more plainly than tissue does would "
        "pass it.\n\n"
        f"Expression is read by a ridge regression from features of {read['training_pairs']} real training pairs. "
        f"Counted are the {read['genes']} genes that it predicts in held-out blocks of the training slide with r of at "
        f"least {read['least_held_out_r']:g}. Generated patches tell "
        f"{_percent(share['value'])} ({_percent(share['low'])} to {_percent(share['high'])}) of what real ones do. "
        f"The mean number of nuclei is off by {_percent(error['value'], sign=True)} "
        f"({_percent(error['low'], sign=True)} to {_percent(error['high'], sign=True)})."
    )
    table = evaluation.table.assign(
        metric=[NAMES.get(metric, metric).replace("\n", " ") for metric in evaluation.table["metric"]]
    )
    figures = [
        ReportFigure(
            name=f"{name}-fidelity",
            figure=figure_fidelity(evaluation.scores),
            caption=f"{label}: does an image match its own spot, between floor and ceiling? {what}",
        )
    ]
    tables = [ReportTable(table=table, caption=what, name=f"{name}-fidelity")]
    if len(evaluation.genes):
        figures.append(
            ReportFigure(
                name=f"{name}-genes",
                figure=figure_genes(evaluation.genes),
                caption=f"{label}: Pearson’s r, within sections, of a gene’s expression with what is read from "
                f"generated patches, against the same from the real patches of these spots. {len(evaluation.genes)} "
                "genes, chosen on held-out training pairs; named are those that generated patches lose most of.",
            )
        )
        lost = (evaluation.genes["real"] - evaluation.genes["generated"]).sort_values(ascending=False).index
        tables.append(
            ReportTable(
                table=evaluation.genes.loc[lost[:10]],
                caption="The ten genes that generated patches lose most of, of all that count; held_out is r in "
                "held-out blocks of the training slide.",
            )
        )
    return ReportSection(
        title=f"{label}: does this spot’s image match this spot’s expression?",
        text=text,
        figures=figures,
        tables=tables,
    )


def memorisation_section(name: str, evaluation: MemorisationEvaluation, *, label: str) -> ReportSection:
    """Chapter on copies of training patches."""
    metrics = evaluation.metrics
    n, share, auc = metrics["n"], metrics["closer_than_held_out"], metrics["auc"]
    verdict = "about as many as among fresh tissue"
    if share["low"] > metrics["expected"]:
        verdict = "more than among fresh tissue: look at the pairs below"
    elif share["high"] < metrics["expected"]:
        verdict = "fewer than among fresh tissue: nothing was copied, though patches unlike any tissue score so too"
    text = (
        f"{_percent(share['value'])} ({_percent(share['low'])} to {_percent(share['high'])}) of generated patches lie "
        f"closer to a training patch than 95 % of held-out real patches do ({_percent(metrics['expected'])} expected): "
        f"{verdict}. A generated patch is closer than a held-out one with probability {auc['value']:.2f} "
        f"({auc['low']:.2f} to {auc['high']:.2f}); of real patches of test sections that is "
        f"{metrics['auc_test']['value']:.2f}."
    )
    what = (
        f"Nearest of {n['train']} training patches, over the eight turned and mirrored views, in standardised features "
        f"of {metrics['extractor']} at {metrics['resolution']} px: {n['generated']} generated patches, "
        f"{n['held_out']} training patches (each against those at least two widths away), {n['test']} patches of "
        "test sections."
    )
    return ReportSection(
        title=f"{label}: are generated patches copies?",
        text=text,
        figures=[
            ReportFigure(
                name=f"{name}-nearest",
                figure=figure_nearest(evaluation.distances, metrics["threshold"]),
                caption=f"{label}: a curve to the left of the held-out one means closer than fresh tissue. {what}",
            ),
            ReportFigure(
                name=f"{name}-closest",
                figure=figure_closest(evaluation.pairs),
                caption=f"{label}: the generated patches closest to a training patch, most suspicious first, and the "
                "same for held-out real patches. Below each pair: distance of features | root mean square difference "
                "of grey levels (0 to 255).",
            ),
        ],
    )


def stain_section(name: str, evaluation: StainEvaluation, *, label: str) -> ReportSection:
    """Chapter on hue and stain."""
    metrics = evaluation.metrics
    where = metrics["position"]
    if np.isfinite(where["value"]):
        text = (
            f"On the line from the colour of the test sections (0) to that of the training slide (1), generated "
            f"patches lie at {where['value']:.2f} ({where['low']:.2f} to {where['high']:.2f}). "
        )
    else:
        text = "There is no position between test sections and training slide. "
    text += (
        f"They are {metrics['delta_e_generated_test']:.1f} Delta E from the real patches of their spots and "
        f"{metrics['delta_e_generated_train']:.1f} from the training slide, which lie "
        f"{metrics['delta_e_train_test']:.1f} apart; 2.3 is just noticeable. {evaluation.note}"
    )
    what = (
        "Mean CIELAB colour of tissue pixels, glass and lumina left out; generated patches against the real ones of "
        "the very same spots; slides are stain-normalised beforehand. Delta E: CIE 1976. position_stains: the same in "
        "haematoxylin and eosin densities."
    )
    figures = [
        ReportFigure(
            name=f"{name}-stain",
            figure=figure_stain(evaluation.lab),
            caption=f"{label}: arrows lead from a test section to what was generated for its spots. {what}",
        )
    ]
    columns = {"position", "position_stains"}
    table = evaluation.table.assign(**{c: [str(v) for v in evaluation.table[c]] for c in columns})
    return ReportSection(
        title=f"{label}: whose stain do generated patches wear?",
        text=text,
        figures=figures,
        tables=[ReportTable(table=pd.DataFrame(table), caption=what)],
    )


def _percent(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:{'+' if sign else ''}.0f} %"
