"""``g2m eval images``: Table 1, several images of every test spot against both references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show
from g2m_cli.errors import InputError


def images(
    study: options.Study,
    models: Annotated[
        str | None,
        typer.Option(help="Models to draw with, separated by commas (gan,tissue-w1); all trained ones by default."),
    ] = None,
    seeds: options.Seeds = 4,
    extractor: Annotated[
        list[str] | None,
        typer.Option(help="own, inception, a timm name, an hf-hub: id or a folder; repeatable. own by default."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Inception's weights, torch-fidelity's file; downloaded once by default.")
    ] = None,
    reference: Annotated[str, typer.Option(help="Real patches to compare with: test, train or both.")] = "test,train",
    limit: options.Limit = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/images by default; an older one is moved to superseded/."),
    ] = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    seed: options.StudySeed = None,
) -> None:
    """Draw several images of every test spot and compare them with real patches: Table 1, every protocol by itself."""
    from g2m_cli.kept_settings import resolve_in_study
    from g2m_eval import PRESETS

    settings = resolve_in_study(study, "eval", PRESETS, preset=preset, overrides=set_ or (), seed=seed)
    from g2m_cli.evaluation.images import TEST, TRAIN, ImagesRequest, check_models, describe_images, score_images
    from g2m_cli.study import Study

    references = tuple(dict.fromkeys(reference.split(",")))
    if not references or not set(references) <= {TEST, TRAIN}:
        raise InputError(f"--reference {reference}: expected test, train, or test,train")
    request = ImagesRequest(
        models=check_models(Study(study), models.split(",") if models else []),
        seeds=seeds,
        limit=limit,
        extractors=tuple(dict.fromkeys(extractor or ["own"])),
        weights=weights,
        references=references,
    )
    if weights is not None and "inception" not in request.extractors:
        raise InputError("--weights is the file of Inception's weights; add --extractor inception")
    folder = score_images(Study(study), request, settings, out=out)
    show(describe_images(folder))
    say(f"images: {folder}")
