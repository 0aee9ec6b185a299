"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Study = Annotated[Path, typer.Argument(help="Folder of `g2m run` or `g2m demo`.")]
Dataset = Annotated[Path, typer.Argument(help="A dataset folder of `g2m data build`.")]
Embeddings = Annotated[Path, typer.Argument(help="Its embeddings, of `g2m encoders embed`.")]
Run = Annotated[Path, typer.Option(help="Run folder; the model ends up in OUT/model. The same command again resumes.")]
Model = Annotated[Path, typer.Argument(help="An exported model, RUN/model.")]
Conditions = Annotated[Path, typer.Argument(help="Conditions, of `g2m encoders embed`.")]
Split = Annotated[str, typer.Option(help="Spots of this split, or all.")]
Seeds = Annotated[int, typer.Option(help="Images for each spot, of noise 0, 1, 2, …", min=1)]
Limit = Annotated[int | None, typer.Option(help="At most this many spots, drawn at random.", min=1)]
Models = Annotated[
    str | None,
    typer.Option(help="Names below STUDY/generated, separated by commas; all of the present models by default."),
]
Preset = Annotated[str, typer.Option(help="Row of the package's preset table: paper, paper-code, base, tiny.")]
StudyPreset = Annotated[
    str | None,
    typer.Option(
        help="Row of the package's preset table: paper, paper-code, base, tiny; by default what the study was made "
        "with, overrides included.",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value, dotted keys; given last, wins. Repeatable.", metavar="KEY=VALUE"),
]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings that replace the preset's.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings and stop.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)]
StudySeed = Annotated[
    int | None,
    typer.Option(help="Seed of everything that is drawn; the study's by default.", min=0, show_default=False),
]
Workers = Annotated[
    int,
    typer.Option(
        help="Sections built at the same time, each in a process of its own, "
        "which takes up to 6 GiB of memory for a whole slide of Visium HD (of a matrix market folder, perhaps more).",
        min=1,
    ),
]
Trackers = Annotated[str, typer.Option(help="Where metrics go besides metrics.jsonl: tensorboard, wandb, …, or none.")]
Precision = Annotated[
    str,
    typer.Option(
        help="Mixed precision: no, bf16, fp16; auto is what `accelerate launch` says, else bf16 on a GPU, else no."
    ),
]
