"""The study that two commits run: small, but every stage and every question of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benches._commit import python_path

SETTINGS = (
    "encoders.total_images=128",
    "encoders.batch_size=16",
    "gan.stages.0.total_images=128",
    "gan.batch_size=8",
    "gan.micro_batch=8",
    "tissue.total_images=128",
    "tissue.batch_size=16",
    "tissue.denoiser.channels=[16, 32]",
    "tissue.sampling.steps=2",
    "tissue.sampling.guidance=[1.0, 2.5]",
    "sd.total_images=64",
    "sd.batch_size=16",
    "sd.denoiser.channels=[16, 32]",
    "sd.sampling.steps=2",
    "sd.sampling.guidance=[1.0]",
    "sd.codes.resolution=32",
    "vae.channels=[8, 16]",
    "vae.total_images=64",
    "vae.batch_size=16",
    *(
        EVALUATION := (
            "eval.extractor_steps=20",
            "eval.train_patches=200",
            "eval.permutations=99",
            "eval.kernel_subsets=10",
            "eval.bootstrap=20",
            "eval.memorisation_patches=200",
            "eval.memorisation_queries=40",
            "eval.space.training_pairs=200",
            "eval.space.images=100",
        )
    ),
    *(
        INTERPRETATION := (
            "interpret.attribution.untrained=1",
            "interpret.enrichment.permutations=20",
            "interpret.perturbation.spots=4",
            "interpret.perturbation.seeds=1",
            "interpret.perturbation.random_sets=2",
            "interpret.perturbation.resamples=20",
        )
    ),
)


def commands(phantom: Path, study: Path) -> list[list[str]]:
    """Everything that is asked of the study, in turn; each says its settings, for not every commit kept them."""
    scored = ["--preset", "tiny", *_sets(EVALUATION, "eval.")]
    asked = ["--preset", "tiny", *_sets(INTERPRETATION, "interpret.")]
    names = [line.split("\t")[0] for line in (phantom / "truth" / "genes.csv").read_text().splitlines()[1:4]]
    genes = ",".join(name.split(",")[0] for name in names)
    return [
        ["run", f"{phantom}/study.toml", "--out", f"{study}", "--preset", "tiny", "--generators", "gan,tissue,sd",
         "--spots", "60", "--log-with", "none", *_sets(SETTINGS, "")],
        ["eval", "space", f"{study}", *scored],
        ["eval", "images", f"{study}", "--models", "gan", "--seeds", "2", *scored],
        ["eval", "report", f"{study}", "--out", f"{study}/report-again", *scored],
        ["eval", "study", "create", f"{study}", "--model", "gan", "--images", "8", "--out", f"{study}/readers"],
        ["eval", "paper", f"{study}", *scored],
        ["interpret", "attribute", f"{study}", "--clusters", "joint", "--out", f"{study}/interpret/joint", *asked],
        ["interpret", "attribute", f"{study}", "--clusters", "samplewise", "--out", f"{study}/interpret/own", *asked],
        ["interpret", "enrich", f"{study}", "--attributions", f"{study}/interpret/own", "--out",
         f"{study}/interpret/own-sets", *asked],
        ["interpret", "perturb", f"{study}", "--genes", genes, "--fold", "0.5,2", "--limit", "8", *asked],
        ["interpret", "screen", f"{study}", "--statistic", "lumen_share", "--top", "4", "--limit", "8", "--workers",
         "1", *asked],
        ["interpret", "images", f"{study}", "--spots", "region=CX", "--limit", "8", *asked],
    ]  # fmt: skip


def run(code: Path, phantom: Path, study: Path, log: Path) -> int:
    """Run the study with the packages below ``code``; what is there and unchanged is kept. Give the exit status."""
    environment = {**os.environ, "PYTHONPATH": python_path(code), "OMP_NUM_THREADS": "1"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        for command in commands(phantom, study):
            print("$ g2m", *command, file=file, flush=True)
            if command[:3] == ["eval", "study", "create"] and (study / "readers").is_dir():
                continue
            status = subprocess.call(
                [sys.executable, "-m", "g2m_cli", *command], env=environment, stdout=file, stderr=file, cwd=study.parent
            )
            if status:
                return status
    return 0


def _sets(settings: tuple[str, ...], prefix: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting.removeprefix(prefix))]
