"""``g2m encoders``: expression and image encoder in one space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show

app = typer.Typer(help="Expression and image encoder in one space (phase 1).", no_args_is_help=True)


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder of `g2m data build`.")],
    out: Annotated[
        Path, typer.Option(help="Run folder; the model ends up in OUT/model. The same command again resumes.")
    ],
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "no",
) -> None:
    """Align expression and image of the training pairs with a contrastive loss."""
    from g2m_cli.settings import describe, resolve
    from g2m_encoders import PRESETS

    settings = resolve(PRESETS, preset, config=config, overrides=set_ or (), seed=seed)
    if dry_run:
        show("\n".join(describe(settings)))
        return
    from g2m_cli.training import train_encoders

    say(f"model: {train_encoders(dataset, out, settings, precision=precision, trackers=log_with)}")


@app.command()
def embed(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    model: Annotated[Path, typer.Argument(help="An exported model, RUN/model.")],
    out: Annotated[Path, typer.Option(help="File to write (.h5ad).")],
    allow_missing_genes: Annotated[bool, typer.Option(help="Go on with less than 95 % of the model's genes.")] = False,
) -> None:
    """Embed the expression of every pair: the conditions that generators are trained on."""
    from g2m_cli.embeddings import embed as embed_dataset

    say(f"wrote {embed_dataset(dataset, model, out, allow_missing_genes=allow_missing_genes)}")
