"""Tissue redrawn from edited expression, from the same noise, and the page that shows it."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.interpretation.clusters import FoundClusters, by_found_clusters, read_clusters
from g2m_cli.interpretation.perturbation_page import CHANGES, perturbation_sections
from g2m_cli.interpretation.perturbation_request import PerturbationRequest, chosen_spots, spoken
from g2m_cli.interpretation.redrawing import Models, aligned, learn_familiarity, patch_width_um
from g2m_cli.interpretation.strip import FILE as STRIP
from g2m_cli.interpretation.strip import Strip, draw_strip
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_data import PairedDataset
    from g2m_interpret import DoseResponse, Edit, InterpretationSettings, Simulator


@dataclass(frozen=True, kw_only=True)
class PerturbedTissue:
    """What a perturbation comes to."""

    changes: pd.DataFrame
    """edit, statistic, before, after, change, low, high, …; with folds also beyond_random, random_sets."""
    doses: DoseResponse | None
    strip: Strip
    warnings: list[str]


def write_perturbation(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    request: PerturbationRequest,
    *,
    found: FoundClusters | None = None,
    out: Path | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Write one perturbation: the page, the strip of pictures, changes.csv and, of doses, doses.csv and responses.csv.

    Parameters
    ----------
    study
        Whose dataset, encoders and generator.
    settings
        What is used are ``perturbation`` and the seed.
    request
        Genes, folds and spots.
    found
        Clusters, where spots are chosen by them; by default those that lie in the study's ``space/`` or
        ``report/``.
    out
        Folder; ``interpret/perturbations/<name>`` of the study by default. An older one is replaced at once.

    Returns
    -------
    The page, and the table of changes.

    Raises
    ------
    InputError
        If a gene, spot or model is not there, or the model wants other embeddings.
    """
    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target = out or study.root / "interpret" / "perturbations" / request.name
    check_replaceable(target, "perturbation")
    spots = open_dataset(study.dataset, split="test")
    clusters = found or read_clusters(study) if by_found_clusters(request.where) else None
    rows = chosen_spots(study, spots, request.where, limit=request.limit, seed=settings.seed, found=clusters)
    perturbed = perturbed_tissue(study, spots, rows, settings, request)
    for sentence in perturbed.warnings:
        say(f"warning: {sentence}")
    own = settings.model.perturbation
    where = spoken(request.where)
    write_report(
        target,
        title=f"{request.label} changed: {spots.manifest['study']}",
        lead=f"{len(request.genes)} genes; {request.model}; "
        f"{len(rows)} test spots of {where} x {own.seeds} seeds; "
        f"counts {'brought back to' if own.renormalise else 'not brought back to'} the library size",
        metrics={"perturbation": {"genes": len(request.genes), "spots": len(rows), "seeds": own.seeds}},
        sections=perturbation_sections(perturbed, request, own),
        warnings=perturbed.warnings,
        provenance=perturbation_record(study, settings, request, None if clusters is None else clusters.id),
        files={CHANGES: lambda path: perturbed.changes.to_csv(path, index=False), STRIP: perturbed.strip.save},
    )
    return target / "report.html", perturbed.changes


def perturbation_record(
    study: Study, settings: RunSettings[InterpretationSettings], request: PerturbationRequest, found: str | None = None
) -> dict[str, Any]:
    """Describe what this perturbation gives; ``found`` is the id of the clusters that spots are chosen by."""
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        request.model: folder_id(study.run(request.model)),
        **({"clusters": found} if by_found_clusters(request.where) else {}),
        **({"attribution": request.attribution} if request.attribution else {}),
    }
    wanted = {key: value for key, value in asdict(request).items() if key != "attribution"}
    asked = {"perturbation": asdict(settings.model.perturbation), **wanted, "seed": settings.seed}
    return provenance("perturbation", asked, parents)


def perturbed_tissue(
    study: Study,
    spots: PairedDataset,
    rows: NDArray[np.int64],
    settings: RunSettings[InterpretationSettings],
    request: PerturbationRequest,
) -> PerturbedTissue:
    """Draw spots with and without the edits, measure both, and do the same to random genes expressed alike.

    Raises
    ------
    InputError
        If the model is not there, or wants other embeddings than the encoders'.
    """
    from g2m_interpret import OutsideTraining, dose_response, draw_keys, perturb, random_edits, summarise_changes

    own, seed = settings.model.perturbation, settings.seed
    models = Models.open(study, request.model)
    simulator = models.simulator(patch_width_um(spots, rows), batch_size=own.batch_size)
    expression = aligned(models.encoders, spots, rows)
    keys = draw_keys([str(name) for name in spots.obs.index[rows]], own.seeds, seed)
    edits = request.edits(doses=own.doses, renormalise=own.renormalise)
    # one set tells whether sets can be drawn: refused now, not after hours
    random_edits(simulator.genes, expression, edits[0], min(own.random_sets, 1), seed)
    drawn = 1 + len(edits) + (len(edits) if request.folds else 2) * (own.random_sets + 1)
    say(f"{len(rows)} spots x {own.seeds} seeds: about {drawn * keys.size:,} images to draw with {request.model}")
    familiarity = learn_familiarity(study, models.encoders, spots, rows, seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutsideTraining)
        perturbation = perturb(simulator, expression, edits, keys, familiarity=familiarity, track=track)
    told = [f"{request.label} {one.message}." for one in caught if _is_ours(one)]
    doses = None
    changes = summarise_changes(perturbation, resamples=own.resamples, seed=seed)
    if request.folds:
        changes = _beside_random(changes, simulator, expression, edits, keys, own.random_sets, seed)
    else:
        doses = dose_response(simulator, expression, request.genes, keys, settings=own, seed=seed, track=track)
    return PerturbedTissue(
        changes=changes,
        doses=doses,
        strip=draw_strip(simulator, spots, rows, expression, edits, keys),
        warnings=_silent(expression, simulator.genes, request) + told,
    )


def _beside_random(
    changes: pd.DataFrame,
    simulator: Simulator,
    expression: NDArray[np.float32],
    edits: list[Edit],
    keys: NDArray[np.int64],
    sets: int,
    seed: int,
) -> pd.DataFrame:
    """Add the share of random sets that change each statistic less."""
    import pandas as pd

    from g2m_interpret import random_changes, share_beyond

    parts = []
    for edit in edits:
        own = changes[changes["edit"] == edit.name]
        random = random_changes(simulator, expression, edit, keys, sets=sets, seed=seed, track=track)
        beyond = [share_beyond(change, random[:, column]) for column, change in enumerate(own["change"])]
        parts.append(own.assign(beyond_random=beyond, random_sets=sets))
    return pd.concat(parts, ignore_index=True)


def _is_ours(warning: warnings.WarningMessage) -> bool:
    from g2m_interpret import OutsideTraining

    return issubclass(warning.category, OutsideTraining)


def _silent(expression: NDArray[np.float32], panel: tuple[str, ...], request: PerturbationRequest) -> list[str]:
    columns = [panel.index(gene) for gene in request.genes]
    silent = [gene for gene, column in zip(request.genes, columns, strict=True) if not expression[:, column].any()]
    if not silent:
        return []
    shown = ", ".join(silent[:5]) + (f" and {len(silent) - 5} more" if len(silent) > 5 else "")
    return [f"Not expressed at any of these spots, so that no fold changes it: {shown}."]
