"""``g2m run``: a study from its manifest to a report, and to the paper's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say


def run(
    study: Annotated[Path, typer.Argument(help="Study manifest (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder of all artefacts; the report is OUT/report/report.html.")],
    preset: options.Preset = "base",
    generators: Annotated[
        str | None,
        typer.Option(
            help="Which to train and score: gan, tissue, sd. By default gan,sd for paper presets, else gan,tissue."
        ),
    ] = None,
    spots: Annotated[
        int | None,
        typer.Option(
            help="Diffusion models draw at most this many test spots, drawn at random; all by default.", min=1
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="encoders.key=value; gan., tissue., sd., vae., eval., interpret. and paper. likewise. Repeatable.",
            metavar="STAGE.KEY=VALUE",
        ),
    ] = None,
    seed: options.Seed = 0,
    workers: options.Workers = 1,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Take a study from Space Ranger folders to a report; what is done and unchanged is skipped.

    Paper presets end with the paper's tables and figures, OUT/paper/report.html.
    """
    from g2m_cli.pipeline import run_study
    from g2m_cli.training import Launch

    page = run_study(
        study,
        out,
        preset=preset,
        seed=seed,
        generators=None if generators is None else generators.split(","),
        spots=spots,
        overrides=set_ or (),
        workers=workers,
        launch=Launch(precision=precision, trackers=log_with),
    )
    say(f"report: {page}")
