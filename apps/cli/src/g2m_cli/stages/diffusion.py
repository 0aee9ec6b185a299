"""Diffusion and flow models of patches, in pixels or in a frozen autoencoder's latents."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.console import say, track
from g2m_cli.embeddings import Conditions, model_id, read_conditions
from g2m_cli.errors import InputError
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.stages.watching import watched
from g2m_cli.study import dataset_id, embeddings_id, training_pairs
from g2m_cli.training import Launch, preview_conditions, some_patches, train_and_validation, train_in

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import AutoencoderKL

    from g2m_cli.pairs import TrainingPairs
    from g2m_cli.task import Task
    from g2m_data import PairedDataset
    from g2m_diffusion import DiffusionSettings

_DECIDES_NOTHING = ("sampling", "micro_batch", "epochs")


def train_diffusion(
    dataset_folder: Path,
    embeddings_file: Path,
    run: Path,
    settings: RunSettings[DiffusionSettings],
    *,
    autoencoder: Path | None = None,
    launch: Launch | None = None,
) -> Path:
    """Train a diffusion or flow model given expression embeddings; give the folder of the exported pipeline.

    Running it again resumes; a finished run is left alone.

    Parameters
    ----------
    dataset_folder, embeddings_file
        The paired dataset and the conditions of all its pairs.
    run
        The run's folder.
    settings
        What to train.
    autoencoder
        Folder of the frozen autoencoder, in place of the one that the settings name.
    launch
        Precision and trackers.

    Raises
    ------
    InputError
        If embeddings and dataset do not belong together, the settings want an autoencoder of the study's own and none
        is given, the folder holds another run, or another process is at work in it.
    """
    from g2m_data import open_dataset

    chosen = with_autoencoder(of_study(settings, dataset_folder), autoencoder)
    source = autoencoder_source(chosen, autoencoder)
    dataset = open_dataset(dataset_folder)
    conditions = read_conditions(embeddings_file, dataset.obs.index)
    record = diffusion_record(dataset_folder, embeddings_file, settings, autoencoder)
    work = partial(_train, dataset, conditions, source, run, chosen)
    return train_in(run, record, launch or Launch(), work)


def _train(
    dataset: PairedDataset,
    conditions: Conditions,
    source: str,
    run: Path,
    settings: RunSettings[DiffusionSettings],
    accelerator: Accelerator,
) -> Task:
    import torch

    from g2m_cli.fit import Plan, fit
    from g2m_diffusion import DiffusionTask, load_autoencoder

    model = settings.model
    pairs, validation = train_and_validation(dataset, accelerator, model.batch_size, embedding=conditions.embedding)
    frozen = None
    if source:
        frozen = load_autoencoder(source, revision=model.codes.revision or None).to(accelerator.device)
    task: Task = DiffusionTask.build(
        model,
        conditions.embedding.shape[1],
        torch.from_numpy(conditions.null),
        some_patches(pairs),
        autoencoder=frozen,
        seed=settings.seed,
    )
    stored = int(dataset.manifest["patch"]["pixels"])
    if model.codes.resolution > stored and accelerator.is_main_process:
        say(
            f"codes.resolution {model.codes.resolution} is more than the dataset's patches have ({stored} px): "
            "they are enlarged, which costs time and shows nothing new"
        )
    if frozen is not None:
        pairs.moments = cached_moments(frozen, pairs, run / "cache" / "moments.npy", settings, accelerator)
        if validation is not None:
            file = run / "cache" / "moments-validation.npy"
            validation.moments = cached_moments(frozen, validation, file, settings, accelerator)
    plan = Plan(
        stage="diffusion",
        pairs=pairs,
        validation=validation,
        total_images=model.total_images,
        batch_size=model.batch_size,
        seed=settings.seed,
        loop=watched(settings.loop, model.total_images, validation, main=accelerator.is_main_process),
        previews=preview_conditions(pairs, validation),
    )
    fit(task, plan, run, accelerator)
    return task


def cached_moments(
    autoencoder: AutoencoderKL,
    pairs: TrainingPairs,
    path: Path,
    settings: RunSettings[DiffusionSettings],
    accelerator: Accelerator,
) -> np.ndarray[Any, np.dtype[np.float16]]:
    """Encode every patch of these pairs once, into a file, and map it into memory.

    The main process writes while others wait; a resumed run keeps what is there.
    """
    from g2m_diffusion import write_moments

    codes = settings.model.codes
    assert codes.views != "dihedral"  # the settings refuse it with an autoencoder
    if accelerator.is_main_process and not path.exists():
        write_moments(
            autoencoder,
            lambda rows: pairs.patches(pairs.rows[rows]),
            len(pairs),
            path,
            resolution=codes.resolution,
            encode_px=codes.encode_px,
            views=codes.views,
            track=track,
        )
    accelerator.wait_for_everyone()
    moments: np.ndarray[Any, np.dtype[np.float16]] = np.load(path, mmap_mode="r")
    return moments


def of_study(settings: RunSettings[DiffusionSettings], dataset_folder: Path) -> RunSettings[DiffusionSettings]:
    """Give the settings with the images seen in training known: epochs are of this dataset's training pairs.

    Raises
    ------
    g2m_diffusion.InputError
        If epochs are wanted and there are no training pairs.
    """
    if settings.model.total_images:
        return settings
    return replace(settings, model=settings.model.of_pairs(training_pairs(dataset_folder)))


def with_autoencoder(
    settings: RunSettings[DiffusionSettings], autoencoder: Path | None
) -> RunSettings[DiffusionSettings]:
    """Give the settings with the autoencoder that was chosen: a run's by what it was made from, another by its path.

    Raises
    ------
    InputError
        If the settings have no room for one.
    """
    from g2m_diffusion import STUDY

    if autoencoder is None:
        return settings
    name = STUDY if model_id(autoencoder) else str(autoencoder)
    codes = replace(settings.model.codes, autoencoder=name, revision="")
    return replace(settings, model=replace(settings.model, codes=codes))


def autoencoder_source(settings: RunSettings[DiffusionSettings], autoencoder: Path | None) -> str:
    """Give the hub id or folder of the autoencoder; "" for pixels.

    Raises
    ------
    InputError
        If one of the study's own is wanted and none is given, or there is none where it should be.
    """
    from g2m_diffusion import STUDY

    if autoencoder is not None:
        if not autoencoder.is_dir():
            raise InputError(f"{autoencoder}: no autoencoder here; `g2m diffusion train-vae` writes RUN/model")
        return str(autoencoder)
    if settings.model.codes.autoencoder == STUDY:
        raise InputError(
            f"codes.autoencoder = {STUDY}: needs one trained on this study's patches; train it with "
            "`g2m diffusion train-vae` and add --autoencoder RUN/model"
        )
    return settings.model.codes.autoencoder


def diffusion_record(
    dataset_folder: Path,
    embeddings_file: Path,
    settings: RunSettings[DiffusionSettings],
    autoencoder: Path | None = None,
) -> dict[str, Any]:
    """Describe the generator that these parents and settings give.

    How it is drawn from, and what only saves memory or time, decides nothing of it; epochs decide by the images they
    come to.
    """
    chosen = with_autoencoder(of_study(settings, dataset_folder), autoencoder)
    parents = {"dataset": dataset_id(dataset_folder), "embeddings": embeddings_id(embeddings_file)}
    parents |= weights_ids(chosen.model)
    if autoencoder is not None and model_id(autoencoder):
        parents["autoencoder"] = model_id(autoencoder)
    decisive = learned(chosen, without=_DECIDES_NOTHING)
    decisive["denoiser"] = {
        key: value for key, value in decisive["denoiser"].items() if key not in ("gradient_checkpointing", "compile")
    }
    return provenance("diffusion", decisive, parents)


def weights_ids(settings: DiffusionSettings) -> dict[str, str | None]:
    """Say which pretrained weights a model starts from: ``autoencoder`` and ``denoiser``, where it has them.

    Raises
    ------
    g2m_diffusion.InputError
        If they cannot be had; says what to do.
    """
    from g2m_diffusion import STUDY, pretrained_id

    found: dict[str, str | None] = {}
    codes, denoiser = settings.codes, settings.denoiser
    if codes.autoencoder not in ("", STUDY):
        found["autoencoder"] = pretrained_id(
            codes.autoencoder, part="vae", revision=codes.revision or None, setting="codes.autoencoder"
        )
    if denoiser.pretrained:
        found["denoiser"] = pretrained_id(
            denoiser.pretrained, part="unet", revision=denoiser.revision or None, setting="denoiser.pretrained"
        )
    return found
