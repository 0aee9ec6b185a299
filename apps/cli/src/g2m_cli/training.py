"""The two training stages, composed from the libraries: encoders, then StyleGAN-G."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.console import say
from g2m_cli.embeddings import model_id
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent
from g2m_cli.provenance import provenance
from g2m_cli.run_folder import claim, is_complete, locked
from g2m_cli.settings import RunSettings, learned
from g2m_cli.study import dataset_id, embeddings_id

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from g2m_cli.task import Task
    from g2m_data import PairedDataset
    from g2m_encoders import ContrastiveModel, EncoderSettings
    from g2m_gan import GanSettings

_VALIDATION_PAIRS = 512
_COLOR_PATCHES = 500


def train_encoders(
    dataset_folder: Path,
    run: Path,
    settings: RunSettings[EncoderSettings],
    *,
    precision: str = "no",
    trackers: str = "tensorboard",
) -> Path:
    """Train expression and image encoder (paper, Method, Phase 1) and give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Raises
    ------
    InputError
        If the folder holds another run, another process is at work in it, or there are no training pairs.
    """
    from g2m_cli.fit import Plan, fit
    from g2m_cli.pairs import TrainingPairs
    from g2m_data import open_dataset
    from g2m_encoders import ContrastiveModel, ContrastiveTask, choose_pairs

    dataset = open_dataset(dataset_folder)
    record = encoders_record(dataset_folder, settings)
    with run_in(run, record, trackers, precision) as (accelerator, finished):
        if finished:
            return run / "model"
        train_rows, held_out = split_rows(dataset)
        train_rows = train_rows[choose_pairs(len(train_rows), settings.model.max_pairs, settings.seed)]
        check_batch(settings.model.batch_size, len(train_rows), dataset_folder)
        task = ContrastiveTask(
            settings.model, ContrastiveModel.build(settings.model, dataset.genes, seed=settings.seed)
        )
        plan = Plan(
            stage="contrastive",
            pairs=TrainingPairs(dataset, accelerator.device, rows=train_rows, expression=True),
            validation=TrainingPairs(dataset, accelerator.device, rows=held_out, expression=True)
            if len(held_out)
            else None,
            total_images=settings.model.total_images,
            batch_size=settings.model.batch_size,
            seed=settings.seed,
            loop=settings.loop,
        )
        fit(task, plan, run, accelerator)
        export(task, run, record, accelerator)
    return run / "model"


def train_gan(
    dataset_folder: Path,
    embeddings_file: Path,
    encoder_folder: Path,
    run: Path,
    settings: RunSettings[GanSettings],
    *,
    precision: str = "no",
    trackers: str = "tensorboard",
) -> Path:
    """Train StyleGAN-G (paper, Method, Phase 2) through all its resolutions; give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Raises
    ------
    InputError
        If embeddings and dataset do not belong together, the folder holds another run, or another process is at work
        in it.
    """
    import torch

    from g2m_cli.embeddings import read_embeddings, rows_of
    from g2m_cli.fit import Plan, fit
    from g2m_cli.pairs import TrainingPairs
    from g2m_data import open_dataset
    from g2m_encoders import ContrastiveModel
    from g2m_gan import stages

    dataset = open_dataset(dataset_folder)
    embeddings = read_embeddings(embeddings_file)
    record = gan_record(dataset_folder, embeddings_file, encoder_folder, settings)
    with run_in(run, record, trackers, precision) as (accelerator, finished):
        if finished:
            return run / "model"
        conditions = np.asarray(embeddings.X, np.float32)[rows_of(embeddings, dataset.obs.index, embeddings_file)]
        train_rows, held_out = split_rows(dataset)
        check_batch(settings.model.batch_size, len(train_rows), dataset_folder)
        encoder = ContrastiveModel.from_pretrained(encoder_folder).to(accelerator.device).eval().requires_grad_(False)
        features = feature_network(settings.model.discriminator.features, encoder).to(accelerator.device)
        pairs = TrainingPairs(dataset, accelerator.device, rows=train_rows, embedding=conditions)
        validation = (
            TrainingPairs(dataset, accelerator.device, rows=held_out, embedding=conditions) if len(held_out) else None
        )
        previews = torch.from_numpy(conditions[held_out if len(held_out) else train_rows][:16]).to(accelerator.device)
        tasks = stages(
            settings.model,
            conditions.shape[1],
            features,
            encoder.embed_image,
            seed=settings.seed,
            patches=pairs.patches(train_rows[:: max(len(train_rows) // _COLOR_PATCHES, 1)]),
        )
        for task, stage in zip(tasks, settings.model.stages, strict=True):
            plan = Plan(
                stage=f"{stage.resolution}px",
                pairs=pairs,
                validation=validation,
                total_images=stage.total_images,
                batch_size=settings.model.batch_size,
                seed=settings.seed,
                loop=settings.loop,
                previews=previews,
            )
            fit(task, plan, run, accelerator)
            accelerator.free_memory()  # a checkpoint of the next stage shall not hold this one's modules too
        export(tasks[-1], run, record, accelerator)
    return run / "model"


def encoders_record(dataset_folder: Path, settings: RunSettings[EncoderSettings]) -> dict[str, Any]:
    """Describe the encoders that this dataset and these settings give."""
    return provenance("encoders", learned(settings), {"dataset": dataset_id(dataset_folder)})


def gan_record(
    dataset_folder: Path, embeddings_file: Path, encoder_folder: Path, settings: RunSettings[GanSettings]
) -> dict[str, Any]:
    """Describe the generator that these parents and settings give."""
    parents = {
        "dataset": dataset_id(dataset_folder),
        "embeddings": embeddings_id(embeddings_file),
        "encoders": model_id(encoder_folder),
    }
    return provenance("gan", learned(settings), parents)


def feature_network(name: str, encoder: ContrastiveModel) -> nn.Module:
    """Give the frozen network under the discriminator: phase 1's, or any timm model by name, hub id or path."""
    from g2m_encoders import MultilevelFeatures, load_backbone

    if name == "encoder":
        image = encoder.settings.image
        return MultilevelFeatures(encoder.image.backbone, input_size=image.input_size, mean=image.mean, std=image.std)
    return MultilevelFeatures(load_backbone(name))


class run_in:  # noqa: N801 - used like a function: `with run_in(run, …) as (accelerator, finished)`
    """Claim and lock a run folder, and start Accelerate with its trackers."""

    def __init__(self, run: Path, record: dict[str, Any], trackers: str, precision: str) -> None:
        self.run, self.record, self.trackers, self.precision = run, record, trackers, precision

    def __enter__(self) -> tuple[Accelerator, bool]:
        from accelerate import Accelerator

        log_with = None if self.trackers == "none" else self.trackers.split(",")
        self.accelerator = Accelerator(mixed_precision=self.precision, log_with=log_with, project_dir=self.run)
        self._lock = locked(self.run) if self.accelerator.is_main_process else None
        if self._lock is not None:
            self._lock.__enter__()
            claim(self.run, self.record)
        finished = is_complete(self.run)
        self.accelerator.wait_for_everyone()
        if finished:
            say(f"{self.run}: complete already")
        else:
            self.accelerator.init_trackers("tensorboard")
        return self.accelerator, finished

    def __exit__(self, *error: Any) -> None:
        self.accelerator.end_training()
        if self._lock is not None:
            self._lock.__exit__(*error)


def export(task: Task, run: Path, record: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Write the model once, complete or not at all."""
    if accelerator.is_main_process:
        with complete_or_absent(run / "model") as partial:
            task.export(partial, record)
    accelerator.wait_for_everyone()


def split_rows(
    dataset: PairedDataset,
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Give the rows of training pairs, and a fixed draw of validation pairs (other sections, as windows overlap)."""
    split = dataset.obs["split"].to_numpy()
    train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
    if len(validation) > _VALIDATION_PAIRS:
        validation = np.sort(np.random.default_rng(0).choice(validation, _VALIDATION_PAIRS, replace=False))
    return train, validation


def check_batch(batch_size: int, pairs: int, dataset_folder: Path) -> None:
    """Refuse a batch larger than the training set.

    Raises
    ------
    InputError
        Says how many training pairs there are.
    """
    if pairs == 0:
        raise InputError(
            f'{dataset_folder}: no training pairs; give at least one sample split = "train" in the manifest'
        )
    if batch_size > pairs:
        raise InputError(
            f"{dataset_folder}: {pairs} training pairs are fewer than one batch; add --set batch_size={pairs}"
        )
