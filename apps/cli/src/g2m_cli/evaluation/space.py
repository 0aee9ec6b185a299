"""The embedding space of a study: its spots and its patches, and a folder of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.embeddings import read_embeddings, rows_of
from g2m_cli.errors import InputError
from g2m_cli.evaluation.scoring import Judge, TestSpots, load_test_spots, open_judge
from g2m_cli.evaluation.space_images import draw, image_space
from g2m_cli.generation import open_images
from g2m_cli.models import drawn_models, label_of
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.study import Study, dataset_id, embeddings_id, folder_id

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_data import PairedDataset
    from g2m_eval import EvaluationSettings, ReportSection, SectionOverlay
    from g2m_eval.config import SpaceSettings
    from g2m_eval.space.evaluate import SpaceEvaluation
    from g2m_eval.space.images import ImageSpace

_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class StudySpace:
    """What a study's embedding space comes to."""

    metrics: dict[str, Any]
    """``clusters`` of metrics.json."""
    sections: list[ReportSection]
    warnings: list[str]
    evaluation: SpaceEvaluation
    images: ImageSpace | None
    """Real and generated patches; None without a generator."""


def space_of_study(
    study: Study,
    spots: TestSpots,
    judge: Judge | None,
    models: Sequence[str],
    settings: SpaceSettings,
    *,
    seed: int,
    evaluation: SpaceEvaluation | None = None,
) -> StudySpace:
    """Cluster, name, compare, lay out and draw the embedding space of a study.

    Parameters
    ----------
    study
        Whose dataset, embeddings, image encoder and generated images.
    spots
        All of its test spots.
    judge
        The metrics' own network and real training patches; not needed without models.
    models
        Names below ``generated/``; without one, Figure D.1 is left out.
    settings
        Of `g2m_eval`, ``space`` of the evaluation's settings.
    seed
        Of everything that is drawn.
    evaluation
        Of `embedding_space` by the same settings, where it is at hand.

    Raises
    ------
    InputError
        If embeddings are missing or of another dataset, or there are too few spots.
    """
    from g2m_eval.report.space import space_sections

    found = embedding_space(study, spots.dataset, settings, seed=seed) if evaluation is None else evaluation
    images = None if judge is None or not models else image_space(study, spots, judge, models, settings, seed=seed)
    metrics = dict(found.metrics) if images is None else {**found.metrics, "mixing": images.metrics}
    sections = space_sections(
        found, overlays=overlays_of(spots, found), images=images, labels={m: label_of(m) for m in models}
    )
    return StudySpace(
        metrics=metrics, sections=sections, warnings=list(found.warnings), evaluation=found, images=images
    )


def embedding_space(study: Study, test: PairedDataset, settings: SpaceSettings, *, seed: int) -> SpaceEvaluation:
    """Cluster, name, compare and lay out the embeddings of all test spots and some training pairs.

    Raises
    ------
    InputError
        If embeddings are missing or of another dataset, or there are too few spots.
    """
    from g2m_data import open_dataset
    from g2m_eval.space.evaluate import evaluate_space

    train = open_dataset(study.dataset, split="train")
    rows = draw(len(train), settings.training_pairs, seed)
    embeddings = read_embeddings(study.embeddings)
    names = [*train.obs.index[rows], *test.obs.index]
    shown = embeddings[rows_of(embeddings, names, study.embeddings)].copy()
    found = evaluate_space(
        embeddings=shown,
        expression=expression_of([(train, rows), (test, np.arange(len(test)))], shown),
        truth=truth_of(train, rows, test),
        settings=settings,
        seed=seed,
        track=track,
    )
    record = clusters_record(study, settings, seed=seed)
    found.adata.uns["provenance"] = {"id": record["id"], "parents": record["parents"]}
    return found


def clusters_record(study: Study, settings: SpaceSettings, *, seed: int) -> dict[str, Any]:
    """Describe the clusters that a study's embeddings give, whichever report they stand in."""
    parents = {"dataset": dataset_id(study.dataset), "embeddings": embeddings_id(study.embeddings)}
    return provenance("clusters", {"space": asdict(settings), "seed": seed}, parents)


def clusters_id(study: Study, settings: RunSettings[EvaluationSettings]) -> str:
    """Give the id of the clusters that a report with these settings shows; it is known before they are found."""
    return str(clusters_record(study, settings.model.space, seed=settings.seed)["id"])


def write_space(
    study: Study, models: Sequence[str], settings: RunSettings[EvaluationSettings], *, out: Path | None = None
) -> Path:
    """Write ``space/`` of a study: the page, metrics.json, figures, tables, space.h5ad and images.h5ad.

    Parameters
    ----------
    study, models
        As of `space_of_study`.
    settings
        Of the evaluation; what is used are ``space``, and the network's where none is saved.
    out
        Folder; the study's ``space`` by default. An older one is replaced at once.

    Returns
    -------
    The page.
    """
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target = out or study.root / "space"
    check_replaceable(target, "space")
    spots = load_test_spots(study.dataset)
    judge = judge_of(study, models, settings)
    found = space_of_study(study, spots, judge, models, settings.model.space, seed=settings.seed)
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        "embeddings": embeddings_id(study.embeddings),
        **{f"generated/{name}": folder_id(study.generated(name)) for name in models},
    }
    files = {"space.h5ad": found.evaluation.adata.write_h5ad}
    if found.images is not None:
        files["images.h5ad"] = found.images.adata.write_h5ad
    write_report(
        target,
        title=f"Embedding space: {spots.dataset.manifest['study']}",
        lead=f"{len(spots):,} test spots, {found.metrics['training_pairs']:,} training pairs, "
        f"{len(spots.dataset.genes):,} genes",
        metrics={"clusters": found.metrics, "seed": settings.seed},
        sections=found.sections,
        warnings=found.warnings,
        provenance=provenance("space", learned(settings), parents),
        files=files,
    )
    return target / "report.html"


def models_at_hand(study: Study) -> list[str]:
    """Name the generators whose images can be compared; none is no error here, and the reason is told."""
    try:
        return drawn_models(study)
    except InputError as error:
        say(f"{error}; what needs generated images is left out")
        return []


def judge_of(study: Study, models: Sequence[str], settings: RunSettings[EvaluationSettings]) -> Judge | None:
    """Give the metrics' network at the size of the smallest generated images; None without models to judge."""
    if not models:
        return None
    resolution = min(int(open_images(study.generated(name)).shape[1]) for name in models)
    return open_judge(study, resolution, settings.model, seed=settings.seed)


def expression_of(parts: Sequence[tuple[PairedDataset, NDArray[np.int64]]], shown: AnnData) -> AnnData:
    """Read expression (sparse) for the rows that are shown, a batch at a time."""
    import anndata
    import pandas as pd
    from scipy import sparse

    blocks: list[sparse.csr_matrix] = []
    for dataset, rows in parts:
        for start in track(range(0, len(rows), _BATCH), "expression"):
            blocks.append(sparse.csr_matrix(dataset.expression(rows[start : start + _BATCH])))
    genes = pd.DataFrame(index=list(parts[0][0].genes))
    return anndata.AnnData(sparse.vstack(blocks, format="csr"), obs=shown.obs[[]].copy(), var=genes)


def truth_of(train: PairedDataset, rows: NDArray[np.int64], test: PairedDataset) -> pd.DataFrame | None:
    """Give region and purity of the rows that are shown; None where nothing is known."""
    import pandas as pd

    of_test = test.truth()
    if of_test is None:
        return None
    columns = ["region", "purity"]
    of_train = train.truth()
    if of_train is None:
        of_train = pd.DataFrame(np.nan, index=train.obs.index, columns=columns)
    return pd.concat([of_train.iloc[rows][columns], of_test[columns]])


def overlays_of(spots: TestSpots, evaluation: SpaceEvaluation) -> dict[str, SectionOverlay]:
    """Give each test section's slide with its spots, labelled by its own clusters."""
    from g2m_eval import SectionOverlay
    from g2m_eval.space import keys

    dataset = spots.dataset
    labels = evaluation.adata.obs[keys.SAMPLEWISE].astype(str).loc[spots.obs.index].to_numpy()
    side = int(dataset.patches(slice(0, 1)).shape[1])
    centres = np.asarray(dataset.corners)[:, ::-1] + side / 2
    found = {}
    for name in dict.fromkeys(spots.samples.tolist()):
        here = np.flatnonzero(spots.samples == name)
        found[name] = SectionOverlay(
            image=dataset.slide(name),
            xy=centres[here].astype(np.float64),
            labels=labels[here].tolist(),
            diameter_px=float(side),
            square=str(spots.obs["platform"].iloc[here[0]]) == "visium-hd",
        )
    return found
