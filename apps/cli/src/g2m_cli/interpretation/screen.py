"""Screens of a study: the gradient ranks all genes or sets, the first are redrawn, and the page that shows both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say
from g2m_cli.interpretation.clusters import clusters_parent
from g2m_cli.interpretation.factor_truth import factor_effects, factor_metrics
from g2m_cli.interpretation.image_gradients import agreement_of, choose_target, gradients, surrogates
from g2m_cli.interpretation.perturbation_request import spoken
from g2m_cli.interpretation.redrawing import Models, learn_familiarity
from g2m_cli.interpretation.screen_metrics import screen_metrics, strongest
from g2m_cli.interpretation.screen_page import screen_sections
from g2m_cli.interpretation.screen_request import ScreenRequest
from g2m_cli.interpretation.screen_workers import Job, verify
from g2m_cli.interpretation.strip import Strip, draw_strip
from g2m_cli.provenance import fingerprint, provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from g2m_interpret import Edit, InterpretationSettings, PerturbationSettings

_POOR = 0.5  # agreement of the surrogate below which the reader is warned
_PICTURED = 3  # of the strongest, in the strip
_UNLIKE = 2.0  # random genes expressed so many times more or less are warned of


@dataclass(frozen=True, kw_only=True)
class Screened:
    """What a screen comes to."""

    table: pd.DataFrame
    """Of `screen_table`; on a phantom with ``true_effect``."""
    metrics: dict[str, Any]
    """``screen.*``."""
    strip: Strip
    parents: dict[str, str | None]


def write_screen(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    request: ScreenRequest,
    *,
    workers: int = 1,
    out: Path | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Write one screen: the page, screen.csv, figures. The same command again goes on where one was stopped.

    What is verified is noted line by line beside the page's folder, in ``<folder>-verified/<id>/``, where the id is
    that of models, spots, noise and edit: a larger ``top``, other genes or another statistic take it up too.

    Parameters
    ----------
    study
        Whose dataset, encoders and generator.
    settings
        What is used are ``perturbation`` and the seed.
    request
        Genes or sets, statistic, spots.
    workers
        Processes that redraw side by side.
    out
        Folder; ``interpret/screens/<name>`` of the study by default. An older one is replaced at once.

    Returns
    -------
    The page, and the table.

    Raises
    ------
    InputError
        If a statistic, gene, spot or model is not there, or the model cannot be differentiated.
    """
    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target = out or study.root / "interpret" / "screens" / request.name
    check_replaceable(target, "screen")
    own = settings.model.perturbation
    name = open_dataset(study.dataset, split="test").manifest["study"]
    found = screen(study, settings, request, workers=workers, folder=target.with_name(f"{target.name}-verified"))
    warnings = _warnings(found.metrics, request) + _unlike_training(found.table, request)
    for sentence in warnings:
        say(f"warning: {sentence}")
    ranked = f"{found.metrics['ranked']:,} {request.what}s"
    edited = "knocked out" if request.fold == 0 else f"counts x {request.fold:g}"
    where = spoken(request.where)
    write_report(
        target,
        title=f"Which {request.what}s move {request.statistic.replace('_', ' ')}: {name}",
        lead=f"{ranked}, {edited}, {'' if own.renormalise else 'not '}brought back to the "
        f"library size; {request.model}; {found.metrics['spots']} test spots of {where} x {own.seeds} seeds",
        metrics={"screen": found.metrics},
        sections=screen_sections(found.table, found.metrics, request, found.strip),
        warnings=warnings,
        provenance=provenance(
            "screen", {"perturbation": asdict(own), **request.described, "seed": settings.seed}, found.parents
        ),
        files={"screen.csv": lambda path: found.table.to_csv(path, index=False)},
    )
    return target / "report.html", found.table


def screen(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    request: ScreenRequest,
    *,
    workers: int,
    folder: Path,
) -> Screened:
    """Rank by the gradient, redraw the first and random ones beside them, and tell what holds.

    Parameters
    ----------
    folder
        What is verified is noted below it.

    Raises
    ------
    InputError
        If a statistic, gene, spot or model is not there, or the model cannot be differentiated.
    """
    from g2m_data import open_dataset
    from g2m_interpret import rank_by_gradient, screen_table

    own, seed = settings.model.perturbation, settings.seed
    spots = open_dataset(study.dataset, split="test")
    models = Models.open(study, request.model)
    target = choose_target(study, models, spots, request, seeds=own.seeds, seed=seed)
    statistics = surrogates(models, target, [request.statistic])
    gradient = gradients(models, target, statistics)
    counts = np.expm1(target.expression.astype(np.float64)).mean(axis=0)
    asked: dict[str, Any] = {"fold": request.fold, "genes": request.genes, "sets": request.sets}
    asked["shares"] = counts / counts.sum() if own.renormalise else None
    ranked = rank_by_gradient(gradient, request.statistic, **asked)
    edits = [request.edit(name, renormalise=own.renormalise) for name in ranked.iloc[: request.top, 0]]
    controls, matched = _controls(models, target.expression, edits, request, own, seed)
    random = {one.name: one for some in controls.values() for one in some}
    images = (len(edits) + len(random) + 1) * target.keys.size
    say(
        f"{len(ranked):,} {request.what}s ranked; redrawing {len(edits)} of them and {len(random)} random ones at "
        f"{len(target.rows)} spots x {own.seeds} seeds: {images:,} images with {workers} processes"
    )
    job = Job(
        study=study.root.absolute(),
        model=request.model,
        expression=target.expression,
        keys=target.keys,
        patch_um=target.patch_um,
        batch_size=own.batch_size,
        edits=(*edits, *random.values()),
        folder=folder / _id(models, [str(name) for name in spots.obs.index[target.rows]], own, seed),
        parents=models.parents,
        familiarity=learn_familiarity(study, models.encoders, spots, target.rows, seed),
        resamples=own.resamples,
        seed=seed,
    )
    verified = verify(job, models, workers=workers)
    labels = {name: [one.name for one in some] for name, some in controls.items()}
    beside = list(random) if request.sets is None else []
    table = screen_table(
        rank_by_gradient(gradient, request.statistic, **asked, unranked=beside), verified, request.statistic, labels
    )
    agreement = agreement_of(models, spots, target, statistics)["surrogate_agreement"]
    known = factor_effects(study.dataset, request.where).get(request.statistic) if request.sets is None else None
    if known is not None:
        table["true_effect"] = table["gene"].map(known)
    metrics = screen_metrics(table) | {"surrogate_agreement": float(agreement[request.statistic])}
    if matched:
        mean = dict(zip(models.encoders.genes, counts, strict=True))
        ratios = [mean[control.name] / mean[gene] for gene, control in matched.items() if mean[gene] > 0]
        metrics["controls_expression"] = float(np.median(ratios)) if ratios else None
    if known is not None:
        rising = 1 if request.fold > 1 else -1  # true effects are of more of a gene
        metrics |= factor_metrics(rising * ranked.set_index("gene")["predicted"], known)
    shown = set(strongest(table).iloc[:_PICTURED, 0])
    pictured = [edit for edit in edits if edit.name in shown]
    return Screened(
        table=table,
        metrics={"statistic": request.statistic, "spots": len(target.rows), "seeds": own.seeds, **metrics},
        strip=draw_strip(job.simulator(models), spots, target.rows, target.expression, pictured, target.keys),
        parents={**models.parents, **clusters_parent(study, request.where)},
    )


def _controls(
    models: Models,
    expression: NDArray[np.float32],
    edits: list[Edit],
    request: ScreenRequest,
    settings: PerturbationSettings,
    seed: int,
) -> tuple[dict[str, list[Edit]], dict[str, Edit]]:
    """Give the random counterparts of each edit: shared among genes, of its own size for each set.

    Of genes also which stands for which.
    """
    from g2m_interpret import gene_controls, set_controls

    genes, number = models.encoders.genes, settings.random_sets
    if request.sets is None:
        matched = gene_controls(genes, expression, edits, number=number, seed=seed)
        return {edit.name: list(matched.values()) for edit in edits}, matched
    return {edit.name: set_controls(genes, expression, edit, number=number, seed=seed) for edit in edits}, {}


def _id(models: Models, spots: list[str], settings: PerturbationSettings, seed: int) -> str:
    """Tell apart what cannot be shared: all but which genes are ranked, by what, and how many are redrawn.

    Spots by name: clusters of the same label hold others once they are found anew.
    """
    drawn = {"spots": spots, "seeds": settings.seeds, "seed": seed}
    return fingerprint({**drawn, "resamples": settings.resamples, "parents": models.parents})


def _unlike_training(table: pd.DataFrame, request: ScreenRequest) -> list[str]:
    """Warn of screened edits that take more than half of what was familiar out of it."""
    screened = table[table["screened"]]
    lost = screened[screened["familiar"] < 0.5 * screened["familiar_before"]]
    if lost.empty:
        return []
    names = [str(name) for name in lost.iloc[:, 0]]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [
        f"Edited like this, most profiles are unlike any in training, so that what is drawn is a guess: {shown} "
        f"({len(names)} of {len(screened)} {request.what}s redrawn)."
    ]


def _warnings(metrics: dict[str, Any], request: ScreenRequest) -> list[str]:
    found = []
    ratio = metrics.get("controls_expression")
    if ratio is not None and not 1 / _UNLIKE <= ratio <= _UNLIKE:
        found.append(
            f"The random genes have {ratio:.2g} times the counts of the genes they are matched to (median), so that "
            "beyond_random says little."
        )
    agreement = metrics["surrogate_agreement"]
    if not agreement >= _POOR:
        how = f"poorly here (Spearman {agreement:.2f})" if np.isfinite(agreement) else "to an unknown degree here"
        found.append(
            f"The differentiable surrogate of {request.statistic} follows it {how}: the gradient "
            f"may rank the wrong {request.what}s first."
        )
    if not metrics["interval_excludes_0"]:
        found.append(f"No {request.what} that was redrawn changes {request.statistic} beyond its 95 % interval.")
    return found
