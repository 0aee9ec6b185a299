"""Tissue redrawn from edited expression, from the same noise, and the page that shows it."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.perturbation_page import perturbation_sections
from g2m_cli.interpretation.perturbation_request import PerturbationRequest, chosen_spots
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_cli.generators import Generator
    from g2m_data import PairedDataset
    from g2m_encoders import ContrastiveModel
    from g2m_interpret import DoseResponse, Edit, Familiarity, InterpretationSettings, Simulator

_FAMILIAR_PAIRS, _COMPONENTS = 2000, 20
_PICTURED = 4


@dataclass(frozen=True, kw_only=True)
class PerturbedTissue:
    """What a perturbation comes to."""

    changes: pd.DataFrame
    """edit, statistic, before, after, change, low, high, …; with folds also beyond_random, random_sets."""
    doses: DoseResponse | None
    pictured: list[str]
    real: NDArray[np.uint8]
    unperturbed: NDArray[np.uint8]
    perturbed: NDArray[np.uint8]
    """(spot, edit, height, width, 3)."""
    edits: list[str]
    warnings: list[str]


def write_perturbation(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    request: PerturbationRequest,
    *,
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
    rows = chosen_spots(study, spots, request, seed=settings.seed)
    found = perturbed_tissue(study, spots, rows, settings, request)
    for sentence in found.warnings:
        say(f"warning: {sentence}")
    own = settings.model.perturbation
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        request.model: folder_id(study.run(request.model)),
    }
    where = " and ".join(f"{key} {value}" for key, value in request.where.items()) or "all test sections"
    write_report(
        target,
        title=f"{request.label} changed: {spots.manifest['study']}",
        lead=f"{len(request.genes)} genes; {request.model}; "
        f"{len(rows)} test spots of {where} x {own.seeds} seeds; "
        f"counts {'brought back to' if own.renormalise else 'not brought back to'} the library size",
        metrics={"perturbation": {"genes": len(request.genes), "spots": len(rows), "seeds": own.seeds}},
        sections=perturbation_sections(found, request, own),
        warnings=found.warnings,
        provenance=provenance(
            "perturbation", {"perturbation": asdict(own), **asdict(request), "seed": settings.seed}, parents
        ),
        files={"changes.csv": lambda path: found.changes.to_csv(path, index=False)},
    )
    return target / "report.html", found.changes


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
    from g2m_encoders import ContrastiveModel
    from g2m_interpret import OutsideTraining, dose_response, draw_keys, perturb, summarise_changes

    own, seed = settings.model.perturbation, settings.seed
    encoders = ContrastiveModel.from_pretrained(study.run("encoders") / "model").eval()
    simulator = _simulator(study, request.model, encoders, spots, rows, own.batch_size)
    expression = encoders.align(list(spots.genes)).apply(spots.expression(rows))
    keys = draw_keys([str(name) for name in spots.obs.index[rows]], own.seeds, seed)
    edits = request.edits(doses=own.doses, renormalise=own.renormalise)
    drawn = 1 + len(edits) + (len(edits) if request.folds else 2) * (own.random_sets + 1)
    say(f"{len(rows)} spots x {own.seeds} seeds: about {drawn * keys.size:,} images to draw with {request.model}")
    familiarity = _familiarity(study, encoders, spots, rows, seed)
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
    shown = np.unique(np.linspace(0, len(rows) - 1, min(_PICTURED, len(rows))).round().astype(int))
    first = keys[shown, :1]
    return PerturbedTissue(
        changes=changes,
        doses=doses,
        pictured=[str(spots.obs.index[row]) for row in rows[shown]],
        real=spots.patches(rows[shown]),
        unperturbed=simulator.draw(expression[shown], first)[:, 0],
        perturbed=_redrawn(simulator, expression[shown], edits, first),
        edits=[edit.name for edit in edits],
        warnings=_silent(expression, simulator.genes, request) + told,
    )


def _simulator(
    study: Study,
    name: str,
    encoders: ContrastiveModel,
    spots: PairedDataset,
    rows: NDArray[np.int64],
    batch_size: int,
) -> Simulator:
    import torch

    from g2m_cli.generation import Request
    from g2m_eval.morphology import image_statistics
    from g2m_interpret import Simulator

    generator = _generator(study, name)
    if generator.condition_dim != encoders.settings.embedding_dim:
        raise InputError(
            f"{study.run(name)}: was trained on embeddings of {generator.condition_dim} dimensions, the encoders give "
            f"{encoders.settings.embedding_dim}; train it again"
        )
    request = Request()
    samples = spots.obs["sample"].astype(str).iloc[rows].unique()
    width = float(np.mean([spots.manifest["samples"][sample]["patch_um"] for sample in samples]))

    def encode(expression: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(encoders.embed_expression(torch.from_numpy(expression)).float().numpy())

    return Simulator(
        genes=tuple(encoders.genes),
        encode=encode,
        generate=lambda embeddings, keys: generator.draw(embeddings, keys, request),
        measure=lambda images: image_statistics(images, width / generator.resolution),
        batch_size=batch_size,
    )


def _generator(study: Study, name: str) -> Generator:
    from g2m_cli.generators import open_generator

    folder = study.run(name) / "model"
    if name == "encoders" or not folder.is_dir():
        there = sorted({path.parent.name for path in study.run("").glob("*/model")} - {"encoders", "vae"})
        raise InputError(f"--model {name}: no generator of this name; there are: {', '.join(there) or 'none'}")
    return open_generator(folder)


def _familiarity(
    study: Study, encoders: ContrastiveModel, spots: PairedDataset, rows: NDArray[np.int64], seed: int
) -> Familiarity | None:
    """Learn what training profiles look like, and let in the chosen sections' own: their batch is not the edit's."""
    from g2m_data import open_dataset
    from g2m_interpret import Familiarity

    train = open_dataset(study.dataset, split="train")
    if len(train) < 4 * _COMPONENTS:
        return None
    generator = np.random.default_rng(seed)
    of_train = np.sort(generator.permutation(len(train))[:_FAMILIAR_PAIRS])
    learned = Familiarity.fit(
        encoders.align(list(train.genes)).apply(train.expression(of_train)), components=_COMPONENTS, seed=seed
    )
    sections = spots.obs["sample"].astype(str).to_numpy()
    own = np.flatnonzero(np.isin(sections, np.unique(sections[rows])))
    own = np.sort(generator.permutation(own)[:_FAMILIAR_PAIRS])
    return learned.extended(encoders.align(list(spots.genes)).apply(spots.expression(own)))


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


def _redrawn(
    simulator: Simulator, expression: NDArray[np.float32], edits: list[Edit], keys: NDArray[np.int64]
) -> NDArray[np.uint8]:
    from g2m_interpret import edit_expression

    drawn = [simulator.draw(edit_expression(expression, simulator.genes, edit), keys)[:, 0] for edit in edits]
    return np.stack(drawn, axis=1)


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
