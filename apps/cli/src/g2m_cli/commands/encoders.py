"""``g2m encoders``: expression and image encoder in one space."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.commands.start import start
from g2m_cli.console import say

app = typer.Typer(help="Expression and image encoder in one space (phase 1).", no_args_is_help=True)


@app.command()
def train(
    dataset: options.Dataset,
    out: options.Run,
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Align expression and image of the training pairs with a contrastive loss."""
    from g2m_cli.stages.encoders import train_encoders
    from g2m_encoders import PRESETS

    start(
        PRESETS, preset, partial(train_encoders, dataset, out),
        config=config, overrides=set_, seed=seed, dry_run=dry_run, precision=precision, trackers=log_with,
    )  # fmt: skip


@app.command()
def embed(
    dataset: options.Dataset,
    model: options.Model,
    out: Annotated[Path, typer.Option(help="File to write (.h5ad).")],
    allow_missing_genes: Annotated[bool, typer.Option(help="Go on with less than 95 % of the model's genes.")] = False,
) -> None:
    """Embed the expression of every pair: the conditions that generators are trained on."""
    from g2m_cli.embeddings import embed as embed_dataset

    say(f"wrote {embed_dataset(dataset, model, out, allow_missing_genes=allow_missing_genes)}")
