"""``g2m eval``: how good are generated patches, and do they follow the genes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import eval_study, options
from g2m_cli.commands.eval_images import images
from g2m_cli.commands.eval_paper import paper
from g2m_cli.commands.eval_space import space
from g2m_cli.console import say

app = typer.Typer(help="Score generated patches, and report.", no_args_is_help=True)


@app.command()
def report(
    study: options.Study,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; STUDY/report by default, where an older one is replaced.")
    ] = None,
    models: options.Models = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    seed: options.StudySeed = None,
) -> None:
    """Write report.html, metrics.json and figures for a study's dataset, embeddings and generated images."""
    from g2m_cli.kept_settings import resolve_in_study
    from g2m_eval import PRESETS

    settings = resolve_in_study(study, "eval", PRESETS, preset=preset, overrides=set_ or (), seed=seed)
    from g2m_cli.evaluation.reporting import write_study_report
    from g2m_cli.models import drawn_models
    from g2m_cli.study import Study, read_seconds

    names = drawn_models(Study(study)) if models is None else models.split(",")
    page = write_study_report(Study(study), names, settings, out=out, seconds=read_seconds(study / "seconds.json"))
    say(f"report: {page}")


app.command()(images)
app.command()(paper)
app.command()(space)
app.add_typer(eval_study.app, name="study")
