"""``g2m data``: Space Ranger folders to a paired dataset, and the phantom."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands.options import Seed, Workers
from g2m_cli.console import say, show, track

app = typer.Typer(help="Space Ranger folders to a paired dataset; a phantom kidney to try it on.", no_args_is_help=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write: study.toml, raw/, truth/.")],
    preset: Annotated[
        str,
        typer.Option(
            help="tiny (seconds), demo (a minute); for scale tests quarter and full (a whole Visium HD section)."
        ),
    ] = "demo",
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(help="Sections drawn at the same time.")] = 2,
) -> None:
    """Write Space Ranger folders of an invented mouse kidney whose truth is known."""
    from g2m_data.simulate import measure_study, simulate_study

    began = time.monotonic()
    study = simulate_study(out, preset=preset, seed=seed, workers=workers, track=track)
    seconds = time.monotonic() - began
    for section in measure_study(study):
        show(str(section))
    say(f"wrote {study} in {seconds:.0f} s; next: g2m data build {study} --out dataset")


@app.command()
def build(
    study: Annotated[Path, typer.Argument(help="Study manifest (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    workers: Workers = 1,
) -> None:
    """Pair expression and image of every sample in a study manifest."""
    from g2m_data import build_dataset

    build_dataset(study, out, workers=workers, track=track)
    info(out)


@app.command()
def info(dataset: Annotated[Path, typer.Argument(help="A dataset folder.")]) -> None:
    """Say what a dataset holds: samples, pairs, scale, genes."""
    from g2m_data import describe_dataset

    found = describe_dataset(dataset)
    show(f"{found.study} ({found.id}): {found.genes:,} genes, patches of {found.patch_px} px")
    show(found.samples.drop(columns="notes").to_string())
    for sample, notes in found.samples["notes"].items():
        if notes:
            show(f"{sample}: {notes}")


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    sample: Annotated[str, typer.Argument(help="Id of the section.")],
    to: Annotated[str, typer.Option(help="h5ad (counts), hest (patches) or spatialdata (slide, windows, counts).")],
    out: Annotated[Path, typer.Option(help="File to write; for spatialdata a folder, usually named .zarr.")],
) -> None:
    """Write one section so that other libraries open it: scanpy and anndata, HEST's tools, spatialdata."""
    from g2m_data import open_dataset
    from g2m_data.export import export_sample

    opened = open_dataset(dataset)
    export_sample(opened, sample, out, to=to, track=track)
    say(f"wrote {out}: {(opened.obs['sample'] == sample).sum():,} pairs of {sample}")
