"""``g2m interpret``: which genes drew the tissue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show

app = typer.Typer(help="Which genes tell clusters apart, and what they would change.", no_args_is_help=True)
StudyFolder = Annotated[Path, typer.Argument(help="Folder of `g2m run` or `g2m demo`.")]


@app.command()
def attribute(
    study: StudyFolder,
    clusters: Annotated[
        str | None,
        typer.Option(
            help="region (true ones of a phantom's pure windows), joint or samplewise (of `g2m eval space`); "
            "by default region where there is a truth, else joint."
        ),
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="A test section; all by default. Repeatable.", metavar="ID")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="QUERY:REFERENCE, several separated by commas (CX:BAT,BAT:CX); every ordered pair by default."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/attribution by default, where an older one is replaced."),
    ] = None,
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
) -> None:
    """Integrated gradients between clusters of the test spots: attributions.h5ad, genes.csv, figures, a page."""
    from g2m_cli.settings import resolve
    from g2m_interpret import PRESETS

    settings = resolve(PRESETS, preset, config=config, overrides=set_ or (), seed=seed)
    from g2m_cli.interpretation.attribution import parse_pairs, write_attribution
    from g2m_cli.interpretation.clusters import kind_of_clusters
    from g2m_cli.study import Study

    page, found = write_attribution(
        Study(study),
        settings,
        clusters=kind_of_clusters(Study(study), clusters),
        samples=sample or (),
        pairs=None if pairs is None else parse_pairs(pairs),
        out=out,
    )
    say(f"attribution: {page}")
    show(f"{found.n_obs} pairs, worst completeness error {found.obs['completeness_error'].max():.1e}")


@app.command()
def enrich(
    study: StudyFolder,
    gene_sets: Annotated[
        Path | None, typer.Option(help="Local GMT file, such as MSigDB's GO:CC; a phantom's own sets by default.")
    ] = None,
    case: Annotated[
        str | None, typer.Option(help="How symbols are matched: exact, or upper (mouse genes, human sets).")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Genes of each pair that are ranked; 0 = all.", min=0)] = None,
    attributions: Annotated[
        Path | None, typer.Option(help="Folder of `g2m interpret attribute`; STUDY/interpret/attribution by default.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/enrichment by default, where an older one is replaced."),
    ] = None,
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
) -> None:
    """Gene sets among the top genes of each pair (gseapy prerank): enrichment.csv, terms.csv, figures, a page."""
    from g2m_cli.settings import resolve
    from g2m_interpret import PRESETS

    given = {"case": case, "top_genes": top}
    overrides = [*(set_ or ()), *(f"enrichment.{key}={value}" for key, value in given.items() if value is not None)]
    settings = resolve(PRESETS, preset, config=config, overrides=overrides)
    from g2m_cli.interpretation.enrichment import write_enrichment
    from g2m_cli.study import Study

    page, terms = write_enrichment(Study(study), settings, gene_sets=gene_sets, attributions=attributions, out=out)
    say(f"enrichment: {page}")
    columns = ["sample", "query", "reference", "term", "nes", "p", "fdr", "leading"]
    show(terms[columns].head(10).round(3).to_string(index=False) if len(terms) else "no term is significant")
