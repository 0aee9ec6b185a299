"""``g2m diffusion``: Stable Diffusion on genes, and a model made for tissue."""

from __future__ import annotations

from functools import partial
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
    from g2m_diffusion import DiffusionSettings

app = typer.Typer(help="Diffusion and flow matching: draw patches from embeddings (phase 2).", no_args_is_help=True)

Preset = Annotated[
    str,
    typer.Option(help="Row of the preset table: tissue, tiny (from scratch); base, paper, paper-code, tiny-sd (SD)."),
]


@app.command()
def train(
    dataset: options.Dataset,
    embeddings: options.Embeddings,
    out: options.Run,
    autoencoder: Annotated[
        Path | None,
        typer.Option(help="Folder of the frozen autoencoder, in place of the one that codes.autoencoder names."),
    ] = None,
    preset: Preset = "tissue",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Train a model that turns noise and expression into patches."""
    from g2m_cli.stages.diffusion import of_study, train_diffusion
    from g2m_diffusion import PRESETS

    def work(settings: RunSettings[DiffusionSettings], launch: Launch) -> Path:
        return train_diffusion(dataset, embeddings, out, settings, autoencoder=autoencoder, launch=launch)

    start(
        PRESETS, preset, work,
        config=config, overrides=set_, seed=seed, dry_run=dry_run, precision=precision, trackers=log_with,
        complete=lambda settings: of_study(settings, dataset),
    )  # fmt: skip


@app.command()
def train_vae(
    dataset: options.Dataset,
    out: options.Run,
    preset: Annotated[str, typer.Option(help="Row of the preset table: base, tiny.")] = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    log_with: options.Trackers = "tensorboard",
    precision: options.Precision = "auto",
) -> None:
    """Train an autoencoder on the study's own patches, for diffusion in its latents."""
    from g2m_cli.stages.autoencoder import train_autoencoder
    from g2m_diffusion import AUTOENCODER_PRESETS

    start(
        AUTOENCODER_PRESETS, preset, partial(train_autoencoder, dataset, out),
        config=config, overrides=set_, seed=seed, dry_run=dry_run, precision=precision, trackers=log_with,
    )  # fmt: skip


@app.command()
def generate(
    model: options.Model,
    embeddings: options.Conditions,
    out: Annotated[Path, typer.Option(help="Folders to write, a guidance strength each: OUT-w1, OUT-w3, …")],
    guidance: Annotated[str, typer.Option(help="Strengths w, separated by commas; 1 is none.")] = "1",
    steps: Annotated[
        int | None, typer.Option(help="Evaluations of the denoiser; as the model was exported by default.", min=1)
    ] = None,
    split: options.Split = "test",
    seeds: options.Seeds = 1,
    limit: options.Limit = None,
    precision: options.Precision = "auto",
) -> None:
    """Draw images for spots, with each strength of guidance from the same noise."""
    from g2m_cli.generation import Request, parse_guidance, strength_name
    from g2m_cli.generation import generate as draw
    from g2m_cli.generators import DIFFUSION, kind_of

    strengths, out = parse_guidance(guidance), out.absolute()
    if kind_of(model) != DIFFUSION:
        raise InputError(f"{model}: StyleGAN-G, which knows no guidance; draw from it with `g2m gan generate`")
    wanted = {
        out.with_name(strength_name(out.name, strength)): Request(
            split=None if split == "all" else split,
            seeds=tuple(range(seeds)),
            guidance=strength,
            steps=steps,
            limit=limit,
        )
        for strength in strengths
    }
    draw(model, embeddings, wanted, precision=precision)
    say(f"wrote {', '.join(map(str, wanted))}")
