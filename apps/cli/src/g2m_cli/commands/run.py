"""``g2m run``: a study from its manifest to a report."""

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
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="encoders.key=value, gan.key=value or eval.key=value. Repeatable.", metavar="STAGE.KEY=VALUE"
        ),
    ] = None,
    seed: options.Seed = 0,
    log_with: options.Trackers = "tensorboard",
) -> None:
    """Take a study from Space Ranger folders to a report; what is done and unchanged is skipped."""
    from g2m_cli.pipeline import run_study

    say(f"report: {run_study(study, out, preset=preset, seed=seed, overrides=set_ or (), trackers=log_with)}")
