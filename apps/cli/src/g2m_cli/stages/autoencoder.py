"""An autoencoder of the study's own patches, for diffusion in its latents."""

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
    from g2m_diffusion import AutoencoderSettings


def train_autoencoder(
    dataset_folder: Path, run: Path, settings: RunSettings[AutoencoderSettings], *, launch: Launch | None = None
) -> Path:
    """Train an AutoencoderKL on the training patches and give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Raises
    ------
    InputError
        If the folder holds another run, another process is at work in it, or there are no training pairs.
    """
    from g2m_data import open_dataset

    dataset = open_dataset(dataset_folder)
    record = autoencoder_record(dataset_folder, settings)
    return train_in(run, record, launch or Launch(), partial(_train, dataset, run, settings))


def _train(
    dataset: PairedDataset, run: Path, settings: RunSettings[AutoencoderSettings], accelerator: Accelerator
) -> Task:
    from g2m_cli.fit import Plan, fit
    from g2m_diffusion import AutoencoderTask

    pairs, validation = train_and_validation(dataset, accelerator, settings.model.batch_size)
    task: Task = AutoencoderTask.build(settings.model, seed=settings.seed)
    plan = Plan(
        stage="autoencoder",
        pairs=pairs,
        validation=validation,
        total_images=settings.model.total_images,
        batch_size=settings.model.batch_size,
        seed=settings.seed,
        loop=watched(settings.loop, settings.model.total_images, validation, main=accelerator.is_main_process),
    )
    fit(task, plan, run, accelerator)
    return task


def autoencoder_record(dataset_folder: Path, settings: RunSettings[AutoencoderSettings]) -> dict[str, Any]:
    """Describe the autoencoder that this dataset and these settings give."""
    decisive = learned(settings, without=("micro_batch",))  # which decides memory alone
    return provenance("autoencoder", decisive, {"dataset": dataset_id(dataset_folder)})
