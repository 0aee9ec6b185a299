"""The settings of all stages of a study, resolved and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from g2m_cli.errors import InputError
from g2m_cli.generation import Request, strength_name
from g2m_cli.processes import count, share_of
from g2m_cli.settings import RunSettings, loop_of, resolve

if TYPE_CHECKING:
    from g2m_diffusion import AutoencoderSettings, DiffusionSettings
    from g2m_encoders import EncoderSettings
    from g2m_eval import EvaluationSettings, PaperSettings
    from g2m_gan import GanSettings
    from g2m_interpret import InterpretationSettings

GAN = "gan"
GENERATORS = (GAN, "tissue", "sd")
DEFAULT_GENERATORS = {
    "paper": (GAN, "sd"),
    "paper-code": (GAN, "sd"),
    "base": (GAN, "tissue"),
    "tiny": (GAN, "tissue"),
}
_FIGURE_NOISES, _FIGURE_SPOTS = 6, 10


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What each stage of a study does."""

    generators: tuple[str, ...]
    """Of ``gan``, ``tissue``, ``sd``; in the order in which they are trained and shown."""
    encoders: RunSettings[EncoderSettings]
    gan: RunSettings[GanSettings]
    diffusion: dict[str, RunSettings[DiffusionSettings]]
    """By family: ``tissue``, ``sd``."""
    autoencoder: RunSettings[AutoencoderSettings]
    evaluation: RunSettings[EvaluationSettings]
    interpretation: RunSettings[InterpretationSettings]
    paper: PaperSettings

    def wants_autoencoder(self, generator: str) -> bool:
        """Whether a generator works on latents of an autoencoder of the study's own."""
        from g2m_diffusion import STUDY

        return generator in self.diffusion and self.diffusion[generator].model.codes.autoencoder == STUDY

    def models(self, generator: str, limit: int | None = None) -> dict[str, Request]:
        """Name what a generator is scored as, and say how it is drawn from, for each guidance strength.

        Parameters
        ----------
        generator
            ``gan`` gives ``gan``, ``tissue`` gives ``tissue-w1``, ``tissue-w3``, …
        limit
            Diffusion draws at most this many test spots.
        """
        if generator == GAN:
            return {GAN: Request()}
        sampling = self.diffusion[generator].model.sampling
        return {
            strength_name(generator, strength): Request(guidance=strength, steps=sampling.steps, limit=limit)
            for strength in sampling.guidance
        }


def resolve_study(
    preset: str, *, seed: int, generators: Sequence[str] | None = None, overrides: Sequence[str] = ()
) -> StudySettings:
    """Resolve the settings of every stage.

    Parameters
    ----------
    preset
        Row of every package's preset table.
    seed
        Seed of everything that is drawn.
    generators
        Which to train and score; by default those that belong to the preset.
    overrides
        ``STAGE.key=value`` with STAGE ``encoders``, ``gan``, ``tissue``, ``sd``, ``vae``, ``eval``,
        ``interpret`` or ``paper``.

    Raises
    ------
    InputError
        For an unknown preset, generator, stage or key, a value that does not fit, or an override of a stage that this
        study does not have.
    """
    from g2m_diffusion import AUTOENCODER_PRESETS, FAMILIES
    from g2m_diffusion import PRESETS as DIFFUSION
    from g2m_encoders import PRESETS as ENCODERS
    from g2m_eval import PAPERS
    from g2m_eval import PRESETS as EVALUATIONS
    from g2m_gan import PRESETS as GANS
    from g2m_interpret import PRESETS as INTERPRETATIONS

    by_stage = grouped(overrides, ("encoders", *GENERATORS, "vae", "eval", "interpret", "paper"))
    loop = loop_of(preset)  # also of rows that go by another name
    encoders: RunSettings[Any] = resolve(ENCODERS, preset, overrides=by_stage["encoders"], seed=seed)
    chosen = check_generators(DEFAULT_GENERATORS[preset] if generators is None else generators)
    found = StudySettings(
        generators=chosen,
        encoders=encoders,
        gan=resolve(GANS, preset, overrides=by_stage[GAN], seed=seed),
        diffusion={
            family: resolve(DIFFUSION, rows[preset], overrides=by_stage[family], seed=seed, loop=loop)
            for family, rows in FAMILIES.items()
        },
        autoencoder=resolve(
            AUTOENCODER_PRESETS, "tiny" if preset == "tiny" else "base", overrides=by_stage["vae"], seed=seed, loop=loop
        ),
        evaluation=resolve(EVALUATIONS, preset, overrides=by_stage["eval"], seed=seed),
        interpretation=resolve(INTERPRETATIONS, preset, overrides=by_stage["interpret"], seed=seed),
        paper=resolve(PAPERS, preset, overrides=by_stage["paper"], seed=seed).model,
    )
    stages = {"encoders", *chosen, "eval", "interpret", "paper"} | {
        "vae" for name in chosen if found.wants_autoencoder(name)
    }
    for stage, settings in by_stage.items():
        if settings and stage not in stages:
            raise InputError(f"--set {stage}.{settings[0]}: this study has no stage {stage}; see --generators")
    return found


def check_batches(settings: StudySettings) -> None:
    """Refuse batches that the processes of this command cannot share, before any of them trains.

    Raises
    ------
    InputError
        Says which, and what would do.
    """
    processes = count()
    share_of(settings.encoders.model.batch_size, processes, setting="encoders.batch_size")
    for generator in settings.generators:
        if generator == GAN:
            gan = settings.gan.model
            share_of(
                gan.batch_size, processes, groups_of=gan.discriminator.group_size, setting=f"{generator}.batch_size"
            )
            continue
        share_of(settings.diffusion[generator].model.batch_size, processes, setting=f"{generator}.batch_size")
        if settings.wants_autoencoder(generator):
            share_of(settings.autoencoder.model.batch_size, processes, setting="vae.batch_size")


def requests(name: str, request: Request) -> dict[str, Request]:
    """Give the images that a report of one model needs, by folder: of `StudySettings.models`, and what goes with it."""
    figure = replace(request, seeds=tuple(range(_FIGURE_NOISES)), shared_noise=True, limit=_FIGURE_SPOTS)
    return {
        name: request,
        f"{name}-shuffled": replace(request, shuffle_conditions=True),
        f"{name}-figure": figure,
    }


def check_generators(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse a name that is no generator.

    Raises
    ------
    InputError
        Says which there are.
    """
    known = [name for name in dict.fromkeys(names) if name in GENERATORS]
    unknown = [name for name in names if name not in GENERATORS]
    if unknown or not known:
        raise InputError(
            f"--generators {','.join(names)}: expected names among {', '.join(GENERATORS)}, separated by commas"
        )
    return tuple(known)


def grouped(overrides: Sequence[str], stages: Sequence[str]) -> dict[str, list[str]]:
    """Sort ``stage.key=value`` by stage.

    Raises
    ------
    InputError
        For an override of no stage.
    """
    by_stage: dict[str, list[str]] = {stage: [] for stage in stages}
    for override in overrides:
        stage, _, rest = override.partition(".")
        if stage not in by_stage:
            raise InputError(f"--set {override}: expected STAGE.key=value with STAGE one of {', '.join(stages)}")
        by_stage[stage].append(rest)
    return by_stage
