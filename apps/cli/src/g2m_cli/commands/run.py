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
    preset: Annotated[
        str | None,
        typer.Option(
            help="Row of every package's preset table: paper, paper-code, base, tiny. By default base, or, of a study "
            "that is there, all options that it was made with.",
            show_default=False,
        ),
    ] = None,
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
    seed: options.StudySeed = None,
    workers: options.Workers = 1,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Take a study from Space Ranger folders to a report; what is done and unchanged is skipped.

    Paper presets end with the paper's tables and figures, OUT/paper/report.html.
    """
    from g2m_cli.kept_settings import KeptSettings, as_kept
    from g2m_cli.pipeline import run_study
    from g2m_cli.training import Launch

    asked = KeptSettings(
        generators=None if generators is None else tuple(generators.split(",")),
        spots=spots,
        overrides=tuple(set_ or ()),
    )
    page = run_study(
        study,
        out,
        as_kept(out, asked, preset=preset, seed=seed),
        workers=workers,
        launch=Launch(precision=precision, trackers=log_with),
    )
    say(f"report: {page}")
