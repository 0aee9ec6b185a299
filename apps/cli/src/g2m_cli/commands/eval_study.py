"""``g2m eval study``: can readers tell generated patches from real ones?"""

from __future__ import annotations

import socket
from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show

app = typer.Typer(help="Reader study: create it, serve it, score the answers.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="Folder of `g2m eval study create`.")]


@app.command()
def create(
    study: options.Study,
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    model: Annotated[str, typer.Option(help="Whose images: a name below STUDY/generated.")] = "gan",
    images: Annotated[int, typer.Option(help="Images in all, half of them real.", min=2)] = 50,
    readers: Annotated[int, typer.Option(help="Readers, each with a private link.", min=1)] = 10,
    clusters: Annotated[int, typer.Option(help="Groups by morphology that images are drawn from evenly.", min=1)] = 10,
    seed: options.Seed = 0,
) -> None:
    """Choose images of test spots, blind them, make each reader's link; no spot is shown both real and generated."""
    from g2m_cli.evaluation.reader_study import create_reader_study
    from g2m_cli.study import Study

    folder = create_reader_study(
        Study(study), model, images=images, readers=readers, clusters=clusters, seed=seed, out=out
    )
    say(f"reader study: {folder}, {images} images, {readers} readers")
    say(f"which are real: {folder / 'key.json'} and, once scored, {folder / 'report'}; a copy to serve does without")
    say(f"private links: `g2m eval study serve {folder}` prints them (/r/TOKEN, tokens in {folder / 'links.csv'})")


@app.command()
def serve(
    folder: Folder,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for readers on other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    address: Annotated[
        str | None, typer.Option(help="How readers reach it, if not so: https://reading.example.org")
    ] = None,
) -> None:
    """Serve the page on which readers answer, until interrupted; answers are on disk as they are given."""
    from g2m_cli.evaluation.reader_study import reader_links
    from g2m_eval.reader_study.server import create_app, listen, serve

    app = create_app(folder)
    listening = listen(host, port)
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, f"[{host}]" if ":" in host else host)
    for reader, link in reader_links(folder, address or f"http://{name}:{listening.getsockname()[1]}").items():
        show(f"{reader}\t{link}")
    say("serving; Ctrl-C stops, and the same command goes on with all answers kept")
    serve(app, listening)


@app.command()
def score(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; FOLDER/report by default, where an older one is replaced.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Count readers who have answered at least half, too.")
    ] = False,
    seed: options.Seed = 0,
) -> None:
    """Score the answers given so far: Table 2, accuracy of each reader, hardest and easiest images."""
    from g2m_cli.evaluation.reader_study import report_readers

    target = out or folder / "report"
    scores = report_readers(folder, target, unfinished=unfinished, seed=seed)
    for _, row in scores.summary.iterrows():
        sd = "" if isnan(row["sd"]) else f" ({row['sd']:.3f})"
        told = f"{row['mean']:6.3f}{sd}   95 % {row['low']:.3f} to {row['high']:.3f}"
        show(f"{row['measure']:<10} {'not defined' if isnan(row['mean']) else told}")
    kappa = "not defined" if isnan(scores.kappa) else f"{scores.kappa:.3f}"
    show(f"{'all answers':<10} {scores.pooled}, exact   Fleiss' kappa {kappa}")
    if scores.left_out:
        say(f"not counted, unfinished: {', '.join(f'{name} ({n})' for name, n in scores.left_out.items())}")
    say(f"report: {target / 'report.html'}; it shows which images are real, so keep it from those still to read")
