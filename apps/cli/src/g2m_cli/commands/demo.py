"""``g2m demo``: the whole road on a phantom kidney."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say


def demo(
    directory: Annotated[Path, typer.Argument(help="Folder to work in.", metavar="[DIR]")] = Path("g2m-demo"),
    seed: options.Seed = 0,
    preset: Annotated[str, typer.Option(help="Preset of the stages.")] = "tiny",
    size: Annotated[str, typer.Option(help="Preset of the phantom: tiny or demo.")] = "demo",
) -> None:
    """Draw a phantom kidney, train on it, and report how well generated tissue follows the genes."""
    from g2m_cli.pipeline import run_demo

    say(f"report: {run_demo(directory, seed=seed, preset=preset, size=size)}")
