"""Pretrained weights that settings ask for: looked for, and fetched, before hours are spent on what needs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import track
from g2m_cli.errors import InputError, is_user_error
from g2m_cli.provenance import read_provenance
from g2m_cli.run_folder import is_complete
from g2m_cli.settings import learned
from g2m_cli.stages.gan import decisive
from g2m_cli.study import Study, dataset_id
from g2m_cli.study_settings import GAN, StudySettings

if TYPE_CHECKING:
    from g2m_diffusion import DiffusionSettings
    from g2m_encoders import EncoderSettings
    from g2m_gan import GanSettings

_DIFFUSERS_FILES = tuple(f"diffusion_pytorch_model.{end}" for end in ("safetensors", "bin", "safetensors.index.json"))


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Pretrained weights that something needs."""

    purpose: str
    """What for, in a few words."""
    name: str
    """Hub id, timm name or folder."""
    setting: str
    """Which setting names them, as ``--set`` takes it."""
    fetch: Callable[[bool], object]
    """Brings them into the local cache; with False it only looks there. Raises a package's ``InputError``."""

    def problem(self, *, online: bool) -> str:
        """Say why they cannot be had; nothing where they are here (or, ``online``, have been fetched)."""
        try:
            self.fetch(online)
        except ValueError as error:
            if not is_user_error(error):
                raise
            return str(error)
        except Exception as error:  # of a connection that breaks, which each client library names otherwise
            if not online:
                raise
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            return f"fetching {self.name!r} broke off ({reason}); the same command goes on with what has arrived"
        return ""


def check_weights(settings: StudySettings, study: Study | None = None) -> None:
    """Refuse a study whose pretrained weights cannot be had, before encoders and others are trained.

    Parameters
    ----------
    settings
        Of all its stages.
    study
        Where it lies: what has been trained there already, and goes on without its first weights, is not held up.

    Raises
    ------
    InputError
        Says which, and what to do about each.
    """
    wanted = study_weights(settings)
    if study is not None:
        done = tuple(f"{stage}." for stage in _done(settings, study))
        wanted = [weights for weights in wanted if not weights.setting.startswith(done)]
    fetch_weights(wanted)


def _done(settings: StudySettings, study: Study) -> list[str]:
    """Name the stages that are kept as far as is known before the dataset is looked at, and that need no weights."""
    if not _has_learned(study, "encoders", learned(settings.encoders)):
        return []
    kept = [] if settings.encoders.model.image.frozen else ["encoders"]  # a frozen backbone is no part of the model
    return [*kept, GAN] if _has_learned(study, GAN, decisive(settings.gan)) else kept


def _has_learned(study: Study, stage: str, asked: dict[str, Any]) -> bool:
    record = read_provenance(study.run(stage)) or {}
    same_data = record.get("parents", {}).get("dataset") == dataset_id(study.dataset)
    return (
        is_complete(study.run(stage))
        and same_data
        and record.get("settings") == json.loads(json.dumps(asked, default=str))
    )


def fetch_weights(wanted: Sequence[Weights]) -> None:
    """Bring into the local cache what is not there yet, several at a time.

    Raises
    ------
    InputError
        Names all that cannot be had, each with its setting.
    """
    from g2m_encoders.hub import is_reachable, quiet_hub

    absent = [weights for weights in wanted if weights.problem(online=False)]
    if not absent:
        return
    with quiet_hub(), ThreadPoolExecutor(max_workers=4) as pool:
        online = is_reachable()  # asked once: each download on its own would try for half a minute
        looking = {pool.submit(weights.problem, online=online): weights for weights in absent}
        found = {looking[done]: done.result() for done in track(as_completed(looking), "weights", total=len(looking))}
    lines = [f"{weights.setting}, {weights.purpose}: {found[weights]}" for weights in absent if found[weights]]
    if lines:
        numbered = "\n".join(f"({number}) {line}" for number, line in enumerate(lines, start=1))
        raise InputError(
            f"{len(lines)} of {len(wanted)} pretrained weights cannot be had; connect, or give a local copy of each as "
            f"--set SETTING=/path/to/folder:\n{numbered}"
        )


def study_weights(settings: StudySettings) -> list[Weights]:
    """List the pretrained weights that a study's stages start from, in the order of the stages."""
    found = encoder_weights(settings.encoders.model, "encoders.")
    for generator in settings.generators:
        if generator == GAN:
            found += gan_weights(settings.gan.model, "gan.")
        else:
            found += diffusion_weights(settings.diffusion[generator].model, f"{generator}.")
    return found


def encoder_weights(settings: EncoderSettings, stage: str = "") -> list[Weights]:
    """List those of phase 1; ``stage`` goes before the settings' names, as ``g2m run --set`` takes them."""
    image = settings.image
    return [_backbone("phase 1's image backbone", image.backbone, f"{stage}image.backbone")] if image.pretrained else []


def gan_weights(settings: GanSettings, stage: str = "") -> list[Weights]:
    """List those of StyleGAN-G."""
    features = settings.discriminator.features
    if features == "encoder":
        return []
    return [_backbone("the discriminator's network", features, f"{stage}discriminator.features")]


def diffusion_weights(settings: DiffusionSettings, stage: str = "") -> list[Weights]:
    """List those of a diffusion model: its autoencoder's and its U-Net's, unless they are the study's own."""
    from g2m_diffusion import STUDY

    codes, denoiser = settings.codes, settings.denoiser
    parts = [
        ("the diffusion model's autoencoder", codes.autoencoder, codes.revision, "vae", "codes.autoencoder"),
        ("the diffusion model's U-Net", denoiser.pretrained, denoiser.revision, "unet", "denoiser.pretrained"),
    ]
    return [
        Weights(
            purpose=purpose,
            name=name,
            setting=stage + setting,
            fetch=partial(_fetch_diffusers, name, part, revision, stage + setting),
        )
        for purpose, name, revision, part, setting in parts
        if name not in ("", STUDY)
    ]


def inception_weights() -> Weights:
    """Give those of the network that FID and KID are defined with; no study needs them, `g2m eval images` may."""

    def fetch(online: bool) -> None:
        from g2m_eval.extractors.inception import fetch_inception

        fetch_inception(online=online)

    return Weights(
        purpose="FID and KID: g2m eval images --extractor inception",
        name="torch-fidelity's Inception-v3",
        setting="--weights",
        fetch=fetch,
    )


def _backbone(purpose: str, name: str, setting: str) -> Weights:
    def fetch(online: bool) -> None:
        from g2m_encoders.backbones import fetch_backbone

        fetch_backbone(name, setting=setting, online=online)

    return Weights(purpose=purpose, name=name, setting=setting, fetch=fetch)


def _fetch_diffusers(name: str, part: str, revision: str, setting: str, online: bool) -> None:
    """Bring one part of a diffusers pipeline into the hub's cache, or look whether a folder holds it."""
    from g2m_diffusion import pretrained_id
    from g2m_encoders.hub import DOWNLOAD_ERRORS, fetch_first, reason

    if Path(name).is_dir():
        pretrained_id(name, part=part, revision=revision or None, setting=setting)
        return
    try:
        config = fetch_first(name, (f"{part}/config.json", "config.json"), revision or None, online=online)
        commit, inside = (
            (config.parents[1].name, f"{part}/") if config.parent.name == part else (config.parent.name, "")
        )
        fetch_first(name, [inside + file for file in _DIFFUSERS_FILES], commit, online=online)
    except DOWNLOAD_ERRORS as error:
        raise InputError(
            f"cannot fetch {name!r}: {reason(error, name)}, or set {setting} to a local folder that diffusers wrote"
        ) from error
