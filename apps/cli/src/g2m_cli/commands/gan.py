"""``g2m gan``: StyleGAN-G."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show

app = typer.Typer(help="StyleGAN-G: draw patches from embeddings (phase 2).", no_args_is_help=True)


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder of `g2m data build`.")],
    embeddings: Annotated[Path, typer.Argument(help="Its embeddings, of `g2m encoders embed`.")],
    encoder: Annotated[
        Path, typer.Option(help="The encoders' exported model: guidance, and the discriminator's features.")
    ],
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
    """Train through all resolutions of the preset, the lower layers frozen after each."""
    from g2m_cli.settings import describe, resolve
    from g2m_gan import PRESETS

    settings = resolve(PRESETS, preset, config=config, overrides=set_ or (), seed=seed)
    if dry_run:
        show("\n".join(describe(settings)))
        return
    from g2m_cli.training import train_gan

    say(f"model: {train_gan(dataset, embeddings, encoder, out, settings, precision=precision, trackers=log_with)}")


@app.command()
def generate(
    model: Annotated[Path, typer.Argument(help="An exported model, RUN/model.")],
    embeddings: Annotated[Path, typer.Argument(help="Conditions, of `g2m encoders embed`.")],
    out: Annotated[Path, typer.Option(help="Folder to write: images.zarr and index.parquet.")],
    split: Annotated[str, typer.Option(help="Spots of this split, or all.")] = "test",
    seeds: Annotated[int, typer.Option(help="Images for each spot, of noise 0, 1, 2, …", min=1)] = 1,
    limit: Annotated[int | None, typer.Option(help="At most this many spots, drawn evenly.", min=1)] = None,
    truncation: Annotated[float, typer.Option(help="Below 1: less variety of noise.", min=0.0, max=1.0)] = 1.0,
) -> None:
    """Draw images for spots."""
    from g2m_cli.generation import Request
    from g2m_cli.generation import generate as draw

    request = Request(
        split=None if split == "all" else split, seeds=tuple(range(seeds)), truncation=truncation, limit=limit
    )
    say(f"wrote {draw(model, embeddings, out, request)}")
