"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Preset = Annotated[str, typer.Option(help="Row of the package's preset table: paper, paper-code, base, tiny.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value, dotted keys; given last, wins. Repeatable.", metavar="KEY=VALUE"),
]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings that replace the preset's.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings and stop.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Trackers = Annotated[str, typer.Option(help="Where metrics go besides metrics.jsonl: tensorboard, wandb, …, or none.")]
Precision = Annotated[str, typer.Option(help="Accelerate's mixed precision: no, bf16, fp16.")]
