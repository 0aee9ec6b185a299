"""``g2m gan``: StyleGAN-G."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.commands.start import start
from g2m_cli.console import say
from g2m_cli.errors import InputError

if TYPE_CHECKING:
    from g2m_cli.settings import RunSettings
    from g2m_cli.training import Launch
    from g2m_gan import GanSettings

app = typer.Typer(help="StyleGAN-G: draw patches from embeddings (phase 2).", no_args_is_help=True)


@app.command()
def train(
    dataset: options.Dataset,
    embeddings: options.Embeddings,
    encoder: Annotated[
        Path, typer.Option(help="The encoders' exported model: guidance, and the discriminator's features.")
    ],
    out: options.Run,
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Train through all resolutions of the preset, the lower layers frozen after each."""
    from g2m_cli.stages.gan import train_gan
    from g2m_gan import PRESETS

    def work(settings: RunSettings[GanSettings], launch: Launch) -> Path:
        return train_gan(dataset, embeddings, encoder, out, settings, launch=launch)

    start(
        PRESETS, preset, work,
        config=config, overrides=set_, seed=seed, dry_run=dry_run, precision=precision, trackers=log_with,
    )  # fmt: skip


@app.command()
def generate(
    model: options.Model,
    embeddings: options.Conditions,
    out: Annotated[Path, typer.Option(help="Folder to write: images.zarr and index.parquet.")],
    split: options.Split = "test",
    seeds: options.Seeds = 1,
    limit: options.Limit = None,
    truncation: Annotated[float, typer.Option(help="Below 1: less variety of noise.", min=0.0, max=1.0)] = 1.0,
    precision: options.Precision = "auto",
) -> None:
    """Draw images for spots."""
    from g2m_cli.generation import Request
    from g2m_cli.generation import generate as draw
    from g2m_cli.generators import GAN, kind_of

    if kind_of(model) != GAN:
        raise InputError(f"{model}: a diffusion model; draw from it with `g2m diffusion generate`")
    request = Request(
        split=None if split == "all" else split, seeds=tuple(range(seeds)), truncation=truncation, limit=limit
    )
    draw(model, embeddings, {out: request}, precision=precision)
    say(f"wrote {out}")
