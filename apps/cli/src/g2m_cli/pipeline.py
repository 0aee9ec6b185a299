"""All stages of a study in turn, each skipped when its inputs and settings are unchanged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from g2m_cli.artefacts import Artefacts
from g2m_cli.console import say, track
from g2m_cli.dataset_notes import say_notes
from g2m_cli.embeddings import embed, embeddings_record
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent, write_json
from g2m_cli.generation import generate, generated_record
from g2m_cli.kept_settings import KeptSettings, keep_settings
from g2m_cli.processes import by_main_process
from g2m_cli.stages.autoencoder import autoencoder_record, train_autoencoder
from g2m_cli.stages.diffusion import diffusion_record, train_diffusion
from g2m_cli.stages.encoders import encoders_record, train_encoders
from g2m_cli.stages.gan import gan_record, train_gan
from g2m_cli.stages.interpretation import InterpretationStages
from g2m_cli.stages.paper import PaperStages
from g2m_cli.study import Study, dataset_id, embeddings_id, folder_id
from g2m_cli.study_settings import GAN, StudySettings, check_batches, requests, resolve_study
from g2m_cli.training import Launch
from g2m_cli.weights import check_weights

if TYPE_CHECKING:
    from g2m_eval.space.evaluate import SpaceEvaluation

DEMO_SPOTS = 160  # drawn by diffusion, which takes a GAN's time many times over


def run_study(
    manifest: Path, out: Path, asked: KeptSettings, *, workers: int = 1, launch: Launch | None = None
) -> Path:
    """Take a study from its manifest to a report, and of a paper preset to the paper's tables and figures.

    Parameters
    ----------
    manifest
        The study's TOML file.
    out
        Folder of all artefacts. What is there and still fits is kept; what was made from other inputs or settings is
        moved to ``superseded/`` and made again.
    asked
        Preset, seed, generators (by default those that belong to the preset), how many test spots diffusion models
        draw, and ``STAGE.key=value`` with STAGE one of ``encoders``, ``gan``, ``tissue``, ``sd``, ``vae``, ``eval``,
        ``interpret``, ``paper``. Later commands of the study start from them.
    workers
        Sections of the dataset built at the same time.
    launch
        Precision and trackers.

    Returns
    -------
    The report page.

    Raises
    ------
    InputError
        For what a user can get wrong in manifest, files or settings; settings are checked before any work.
    """
    settings = resolve_study(asked.preset, seed=asked.seed, generators=asked.generators, overrides=asked.overrides)
    spots = asked.spots
    check_batches(settings)
    check_splits(manifest)
    launch = launch or Launch()
    launch.check()  # last, for it needs torch
    work = StudyRun(Study(out), settings, Artefacts(out), launch)
    genes = InterpretationStages(work.study, settings, work.artefacts)
    paper = PaperStages(work.study, settings, work.artefacts, limit=spots, precision=launch.precision)

    def prepare() -> None:
        check_weights(settings, work.study)
        paper.check()
        keep_settings(out, asked)
        work.build(manifest, workers=workers)
        genes.check_gene_sets()

    def interpret_and_report() -> None:
        models = work.models(spots)
        genes.attribute()
        genes.enrich()
        genes.perturb()
        work.report(models, genes.space)
        paper.score(models)
        paper.write(models, genes.space)

    # several processes train together; all else is the main one's
    by_main_process(prepare)
    work.train_encoders()
    for generator in settings.generators:
        if settings.wants_autoencoder(generator):
            work.train_autoencoder()
        work.train_generator(generator)
        by_main_process(lambda generator=generator: work.draw(generator, spots))  # type: ignore[misc]
    by_main_process(interpret_and_report)
    return work.study.report / "report.html"


class StudyRun:
    """The stages of one study, each made unless it is there.

    Parameters
    ----------
    study, settings
        Where artefacts lie and what they are to be.
    artefacts
        Makes them.
    launch
        Precision and trackers of all training.
    """

    def __init__(self, study: Study, settings: StudySettings, artefacts: Artefacts, launch: Launch) -> None:
        self.study, self.settings, self.artefacts, self.launch = study, settings, artefacts, launch

    def build(self, manifest: Path, *, workers: int = 1) -> None:
        """Pair expression and image; of a dataset that is kept, follow the manifest's gene sets."""
        from g2m_data import build_dataset, read_manifest, study_id
        from g2m_data.gene_sets import copy_gene_sets

        dataset = self.study.dataset
        self.artefacts.once(
            "data",
            dataset,
            study_id(manifest),
            dataset_id,
            lambda: build_dataset(manifest, dataset, workers=workers, track=track),
        )
        copy_gene_sets(read_manifest(manifest), dataset)
        say_notes(dataset)

    def train_encoders(self) -> None:
        """Train the encoders, and embed every pair."""
        study, settings = self.study, self.settings.encoders
        run = study.run("encoders")
        self.artefacts.resumable(
            "encoders",
            run,
            encoders_record(study.dataset, settings),
            lambda: train_encoders(study.dataset, run, settings, launch=self.launch),
        )
        by_main_process(self.embed)

    def embed(self) -> None:
        """Embed the expression of every pair."""
        study, out = self.study, self.study.embeddings
        model = study.run("encoders") / "model"
        record = embeddings_record(study.dataset, model)
        self.artefacts.once("embed", out, record["id"], embeddings_id, lambda: embed(study.dataset, model, out))

    def train_autoencoder(self) -> None:
        """Train the study's own autoencoder."""
        study, settings = self.study, self.settings.autoencoder
        run = study.run("vae")
        self.artefacts.resumable(
            "vae",
            run,
            autoencoder_record(study.dataset, settings),
            lambda: train_autoencoder(study.dataset, run, settings, launch=self.launch),
        )

    def train_generator(self, generator: str) -> None:
        """Train StyleGAN-G or a diffusion model."""
        study, run, launch = self.study, self.study.run(generator), self.launch
        if generator == GAN:
            gan, encoder = self.settings.gan, study.run("encoders") / "model"
            record = gan_record(study.dataset, study.embeddings, encoder, gan)
            self.artefacts.resumable(
                generator,
                run,
                record,
                lambda: train_gan(study.dataset, study.embeddings, encoder, run, gan, launch=launch),
            )
            return
        diffusion = self.settings.diffusion[generator]
        vae = study.run("vae") / "model" if self.settings.wants_autoencoder(generator) else None
        self.artefacts.resumable(
            generator,
            run,
            diffusion_record(study.dataset, study.embeddings, diffusion, vae),
            lambda: train_diffusion(study.dataset, study.embeddings, run, diffusion, autoencoder=vae, launch=launch),
        )

    def models(self, limit: int | None) -> list[str]:
        """Name the images that the report scores."""
        return [name for generator in self.settings.generators for name in self.settings.models(generator, limit)]

    def draw(self, generator: str, limit: int | None) -> None:
        """Draw what the report needs."""
        models = self.settings.models(generator, limit)
        source = self.study.run(generator) / "model"
        for model, images in models.items():
            for name, request in requests(model, images).items():
                folder = self.study.generated(name)
                record = generated_record(source, self.study.embeddings, request)
                draw = partial(
                    generate, source, self.study.embeddings, {folder: request}, precision=self.launch.precision
                )
                self.artefacts.once(f"generate_{name}", folder, record["id"], folder_id, draw)

    def report(self, models: Sequence[str], space: SpaceEvaluation | None = None) -> None:
        """Score and show all of it; ``space`` is the embedding space, where it was computed on the way."""
        from g2m_cli.evaluation.reporting import report_id, report_record, write_study_report

        study, evaluation = self.study, self.settings.evaluation
        self.artefacts.once(
            "report",
            study.report,
            report_record(study, models, evaluation)["id"],
            report_id,
            lambda: write_study_report(study, models, evaluation, seconds=self.artefacts.seconds, space=space),
        )


def check_splits(manifest: Path) -> None:
    """Refuse a study that could be trained but not reported, before hours are spent on it.

    Raises
    ------
    InputError
        If it has no training or no test sample.
    """
    from g2m_data import read_manifest

    splits = {sample.split for sample in read_manifest(manifest).samples}
    for split in ("train", "test"):
        if split not in splits:
            raise InputError(
                f'{manifest}: no sample has split = "{split}"; a report compares test with training sections'
            )


def run_demo(directory: Path, *, seed: int, preset: str = "tiny", size: str = "demo") -> Path:
    """Simulate a study and run it; give the report page.

    Raises
    ------
    InputError
        If the folder holds the phantom of another seed or size.
    """
    from g2m_data import simulate_study

    phantom, artefacts = directory / "phantom", Artefacts(directory)
    wanted = {"preset": size, "seed": seed}
    kept = phantom / "simulation.json"

    def simulate() -> None:
        if phantom.exists():
            if json.loads(kept.read_text()) != wanted:
                raise InputError(f"{phantom} is another phantom ({kept.read_text()}); name another folder")
            say("simulate: unchanged, kept")
            return
        with artefacts.timed("simulate"), complete_or_absent(phantom) as building:
            simulate_study(building, preset=size, seed=seed, workers=2, track=track)
            write_json(building / kept.name, wanted)

    by_main_process(simulate)
    return run_study(phantom / "study.toml", directory, KeptSettings(preset=preset, seed=seed, spots=DEMO_SPOTS))
