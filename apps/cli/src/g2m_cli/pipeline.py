"""All stages of a study in turn, each skipped when its inputs and settings are unchanged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from g2m_cli.console import say, track
from g2m_cli.embeddings import embed, embeddings_record
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent, write_json
from g2m_cli.generation import Request, generate, generated_record
from g2m_cli.settings import RunSettings, resolve
from g2m_cli.study import Study, Timed, dataset_id, embeddings_id, folder_id, read_seconds
from g2m_cli.training import encoders_record, gan_record, train_encoders, train_gan

REQUESTS = {
    "gan": Request(),
    "gan-shuffled": Request(shuffle_conditions=True),
    "gan-figure": Request(seeds=tuple(range(6)), shared_noise=True, limit=10),
}


def run_study(
    manifest: Path, out: Path, *, preset: str, seed: int, overrides: Sequence[str] = (), trackers: str = "tensorboard"
) -> Path:
    """Take a study from its manifest to a report.

    Parameters
    ----------
    manifest
        The study's TOML file.
    out
        Folder of all artefacts. What is there and still fits is kept; what was made from other inputs or settings is
        moved to ``superseded/`` and made again.
    preset
        Row of every package's preset table.
    seed
        Seed of everything that is drawn.
    overrides
        ``encoders.key=value``, ``gan.key=value``, ``eval.key=value``.
    trackers
        Where metrics go besides metrics.jsonl.

    Returns
    -------
    The report page.

    Raises
    ------
    InputError
        For what a user can get wrong in manifest, files or settings; settings are checked before any work.
    """
    from g2m_cli.reporting import report_id, report_record, write_study_report
    from g2m_data import build_dataset, study_id
    from g2m_encoders import PRESETS as ENCODERS
    from g2m_eval import PRESETS as EVALUATIONS
    from g2m_gan import PRESETS as GANS

    by_stage = grouped(overrides, ("encoders", "gan", "eval"))
    encoders: RunSettings[Any] = resolve(ENCODERS, preset, overrides=by_stage["encoders"], seed=seed)
    gan: RunSettings[Any] = resolve(GANS, preset, overrides=by_stage["gan"], seed=seed)
    evaluation = resolve(EVALUATIONS, preset, overrides=by_stage["eval"], seed=seed)
    check_splits(manifest)
    study, stages = Study(out), Stages(out)

    def build() -> None:
        build_dataset(manifest, study.dataset, track=track)

    stages.once("data", study.dataset, study_id(manifest), dataset_id, build)

    record = encoders_record(study.dataset, encoders)
    stages.resumable(
        "encoders",
        study.encoders,
        record,
        lambda: train_encoders(study.dataset, study.encoders, encoders, trackers=trackers),
    )
    model = study.encoders / "model"

    record = embeddings_record(study.dataset, model)
    stages.once(
        "embed", study.embeddings, record["id"], embeddings_id, lambda: embed(study.dataset, model, study.embeddings)
    )

    record = gan_record(study.dataset, study.embeddings, model, gan)
    stages.resumable(
        "gan",
        study.gan,
        record,
        lambda: train_gan(study.dataset, study.embeddings, model, study.gan, gan, trackers=trackers),
    )

    generator = study.gan / "model"
    for name, request in REQUESTS.items():
        folder = study.generated(name)

        def draw(request: Request = request, folder: Path = folder) -> None:
            generate(generator, study.embeddings, folder, request)

        record = generated_record(generator, study.embeddings, request)
        stages.once(f"generate_{name}", folder, record["id"], folder_id, draw)

    def report() -> None:
        write_study_report(study, evaluation, seconds=stages.seconds)

    stages.once("report", study.report, report_record(study, evaluation)["id"], report_id, report)
    return study.report / "report.html"


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


class Stages:
    """Does each stage once, keeps the time each took, and never deletes what it replaces.

    Parameters
    ----------
    root
        The study's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._file = root / "seconds.json"
        self.seconds: dict[str, float] = read_seconds(self._file)

    def once(
        self, name: str, target: Path, wanted: str, found: Callable[[Path], str | None], make: Callable[[], object]
    ) -> None:
        """Make an artefact unless the one that is wanted is there."""
        if target.exists() and found(target) == wanted:
            say(f"{name}: unchanged, kept")
            return
        self.set_aside(target)
        with self.timed(name):
            make()

    def resumable(self, name: str, run: Path, record: Mapping[str, Any], train: Callable[[], object]) -> None:
        """Train, or go on training, unless the folder holds another run, which is then set aside."""
        if folder_id(run) == record["id"] and (run / "model").is_dir():
            say(f"{name}: unchanged, kept")
            return
        if folder_id(run) != record["id"]:
            self.set_aside(run)
        with self.timed(name):
            train()

    def set_aside(self, target: Path) -> None:
        """Move an artefact that no longer fits to ``superseded/``."""
        if not target.exists():
            return
        stamp = time.strftime("%Y%m%d-%H%M%S")
        place = self.root / "superseded" / f"{stamp}-{target.name}"
        place.parent.mkdir(exist_ok=True)
        target.rename(place)
        say(f"{target}: inputs or settings have changed; the old one is now {place}")

    def timed(self, name: str) -> Timed:
        """Time a block and keep its seconds, also for a later run that skips it."""
        return Timed(name, self.seconds, self._file)


def run_demo(directory: Path, *, seed: int, preset: str = "tiny", size: str = "demo") -> Path:
    """Simulate a study and run it; give the report page.

    Raises
    ------
    InputError
        If the folder holds the phantom of another seed or size.
    """
    from g2m_data import simulate_study

    phantom, stages = directory / "phantom", Stages(directory)
    wanted = {"preset": size, "seed": seed}
    kept = phantom / "simulation.json"
    if phantom.exists():
        if json.loads(kept.read_text()) != wanted:
            raise InputError(f"{phantom} is another phantom ({kept.read_text()}); name another folder")
        say("simulate: unchanged, kept")
    else:
        with stages.timed("simulate"), complete_or_absent(phantom) as partial:
            simulate_study(partial, preset=size, seed=seed, workers=2, track=track)
            write_json(partial / kept.name, wanted)
    return run_study(phantom / "study.toml", directory, preset=preset, seed=seed)
