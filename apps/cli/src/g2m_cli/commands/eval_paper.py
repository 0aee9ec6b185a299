"""``g2m eval paper``: the paper's tables and figures for a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say


def paper(
    study: options.Study,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; STUDY/paper by default, where an older one is replaced.")
    ] = None,
    models: options.Models = None,
    reader_study: Annotated[
        Path | None, typer.Option(help="Folder of `g2m eval study create`, with answers, for Table 2.")
    ] = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    seed: options.StudySeed = None,
) -> None:
    """Write Tables 1 to 3 and F.1 to F.3 and Figures 2, 3, C.1, D.1, E.1 for a study, with the published values."""
    from g2m_cli.kept_settings import resolve_in_study
    from g2m_eval import PRESETS

    settings = resolve_in_study(study, "eval", PRESETS, preset=preset, overrides=set_ or (), seed=seed)
    from g2m_cli.evaluation.paper import write_paper
    from g2m_cli.evaluation.paper_items import PaperStudy
    from g2m_cli.evaluation.space import models_at_hand
    from g2m_cli.study import Study

    names = models_at_hand(Study(study)) if models is None else models.split(",")
    page = write_paper(PaperStudy(Study(study), tuple(names), settings, reader_study), out=out)
    say(f"paper: {page}")
