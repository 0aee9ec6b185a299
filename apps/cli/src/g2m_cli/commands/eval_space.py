"""`g2m eval space`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say


def space(
    study: options.Study,
    clusters: Annotated[
        int | None, typer.Option(help="Clusters wanted in each clustering; the resolution is searched for them.", min=2)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; STUDY/space by default, where an older one is replaced.")
    ] = None,
    models: options.Models = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.StudySeed = None,
) -> None:
    """Cluster embeddings, name the clusters, compare them with sections and the truth, draw Figures 3, D.1 and E.1."""
    from g2m_cli.kept_settings import resolve_in_study
    from g2m_eval import PRESETS

    overrides = [*(set_ or ()), *([] if clusters is None else [f"space.clusters={clusters}"])]
    settings = resolve_in_study(study, "eval", PRESETS, preset=preset, config=config, overrides=overrides, seed=seed)
    from g2m_cli.evaluation.space import models_at_hand, write_space
    from g2m_cli.study import Study

    names = models_at_hand(Study(study)) if models is None else models.split(",")
    page = write_space(Study(study), names, settings, out=out)
    say(f"embedding space: {page}")
