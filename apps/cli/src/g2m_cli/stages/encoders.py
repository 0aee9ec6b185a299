"""Phase 1: expression and image encoder in one space."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.stages.watching import watched
from g2m_cli.study import dataset_id
from g2m_cli.training import Launch, train_and_validation, train_in

if TYPE_CHECKING:
    from accelerate import Accelerator

    from g2m_cli.task import Task
    from g2m_data import PairedDataset
    from g2m_encoders import EncoderSettings


def train_encoders(
    dataset_folder: Path, run: Path, settings: RunSettings[EncoderSettings], *, launch: Launch | None = None
) -> Path:
    """Train expression and image encoder (paper, Method, Phase 1) and give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Raises
    ------
    InputError
        If the folder holds another run, another process is at work in it, or there are no training pairs.
    """
    from g2m_data import open_dataset

    dataset = open_dataset(dataset_folder)
    record = encoders_record(dataset_folder, settings)
    return train_in(run, record, launch or Launch(), partial(_train, dataset, run, settings))


def _train(dataset: PairedDataset, run: Path, settings: RunSettings[EncoderSettings], accelerator: Accelerator) -> Task:
    from g2m_cli.fit import Plan, fit
    from g2m_encoders import ContrastiveModel, ContrastiveTask, choose_pairs

    pairs, validation = train_and_validation(
        dataset,
        accelerator,
        settings.model.batch_size,
        choose=lambda count: choose_pairs(count, settings.model.max_pairs, settings.seed),
        expression=True,
    )
    task = ContrastiveTask(settings.model, ContrastiveModel.build(settings.model, dataset.genes, seed=settings.seed))
    plan = Plan(
        stage="contrastive",
        pairs=pairs,
        validation=validation,
        total_images=settings.model.total_images,
        batch_size=settings.model.batch_size,
        seed=settings.seed,
        loop=watched(settings.loop, settings.model.total_images, validation, main=accelerator.is_main_process),
    )
    fit(task, plan, run, accelerator)
    return task


def encoders_record(dataset_folder: Path, settings: RunSettings[EncoderSettings]) -> dict[str, Any]:
    """Describe the encoders that this dataset and these settings give."""
    return provenance("encoders", learned(settings), {"dataset": dataset_id(dataset_folder)})
