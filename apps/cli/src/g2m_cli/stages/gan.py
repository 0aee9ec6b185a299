"""Phase 2: StyleGAN-G."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.embeddings import Conditions, model_id, read_conditions
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.stages.watching import watched
from g2m_cli.study import dataset_id, embeddings_id
from g2m_cli.training import Launch, preview_conditions, some_patches, train_and_validation, train_in

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from g2m_cli.task import Task
    from g2m_data import PairedDataset
    from g2m_encoders import ContrastiveModel
    from g2m_gan import GanSettings


def train_gan(
    dataset_folder: Path,
    embeddings_file: Path,
    encoder_folder: Path,
    run: Path,
    settings: RunSettings[GanSettings],
    *,
    launch: Launch | None = None,
) -> Path:
    """Train StyleGAN-G (paper, Method, Phase 2) through all its resolutions; give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Raises
    ------
    InputError
        If embeddings and dataset do not belong together, the folder holds another run, or another process is at work
        in it.
    """
    from g2m_data import open_dataset

    dataset = open_dataset(dataset_folder)
    conditions = read_conditions(embeddings_file, dataset.obs.index)
    record = gan_record(dataset_folder, embeddings_file, encoder_folder, settings)
    work = partial(_train, dataset, conditions, encoder_folder, run, settings)
    return train_in(run, record, launch or Launch(), work)


def _train(
    dataset: PairedDataset,
    conditions: Conditions,
    encoder_folder: Path,
    run: Path,
    settings: RunSettings[GanSettings],
    accelerator: Accelerator,
) -> Task:
    from g2m_cli.fit import Plan, fit
    from g2m_encoders import ContrastiveModel
    from g2m_gan import stages

    pairs, validation = train_and_validation(
        dataset, accelerator, settings.model.batch_size, embedding=conditions.embedding
    )
    encoder = ContrastiveModel.from_pretrained(encoder_folder).to(accelerator.device).eval().requires_grad_(False)
    tasks = stages(
        settings.model,
        conditions.embedding.shape[1],
        feature_network(settings.model.discriminator.features, encoder).to(accelerator.device),
        encoder.embed_image,
        seed=settings.seed,
        patches=some_patches(pairs),
    )
    for task, stage in zip(tasks, settings.model.stages, strict=True):
        plan = Plan(
            stage=f"{stage.resolution}px",
            pairs=pairs,
            validation=validation,
            total_images=stage.total_images,
            batch_size=settings.model.batch_size,
            seed=settings.seed,
            loop=watched(settings.loop, stage.total_images, validation, main=accelerator.is_main_process),
            previews=preview_conditions(pairs, validation),
        )
        fit(task, plan, run, accelerator)
        accelerator.free_memory()  # a checkpoint of the next stage shall not hold this one's modules too
    return tasks[-1]


def gan_record(
    dataset_folder: Path, embeddings_file: Path, encoder_folder: Path, settings: RunSettings[GanSettings]
) -> dict[str, Any]:
    """Describe the generator that these parents and settings give."""
    parents = {
        "dataset": dataset_id(dataset_folder),
        "embeddings": embeddings_id(embeddings_file),
        "encoders": model_id(encoder_folder),
    }
    return provenance("gan", decisive(settings), parents)


def decisive(settings: RunSettings[GanSettings]) -> dict[str, Any]:
    """Give the settings that decide what is learned: not those that only save memory or time."""
    return learned(settings, without=("micro_batch", "compile"))


def feature_network(name: str, encoder: ContrastiveModel) -> nn.Module:
    """Give the frozen network under the discriminator: phase 1's, or any timm model by name, hub id or path."""
    from g2m_encoders import MultilevelFeatures, load_backbone

    if name == "encoder":
        image = encoder.settings.image
        return MultilevelFeatures(encoder.image.backbone, input_size=image.input_size, mean=image.mean, std=image.std)
    return MultilevelFeatures(load_backbone(name, setting="discriminator.features"))
