"""``g2m interpret``: which genes drew the tissue, and what if they were gone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show
from g2m_cli.errors import InputError

app = typer.Typer(help="Which genes tell clusters apart, and what they would change.", no_args_is_help=True)


@app.command()
def attribute(
    study: options.Study,
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
    study: options.Study,
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


@app.command()
def perturb(
    study: options.Study,
    model: Annotated[str, typer.Option(help="Generator: a run of the study, gan or tissue or sd.")] = "gan",
    genes: Annotated[str | None, typer.Option(help="Symbols, separated by commas: Umod,Slc12a1.")] = None,
    gene_set: Annotated[str | None, typer.Option(help="A set's name, in place of --genes.")] = None,
    gene_sets: Annotated[
        Path | None, typer.Option(help="Local GMT file that holds it; a phantom's own sets by default.")
    ] = None,
    case: Annotated[str | None, typer.Option(help="How the set's symbols are matched: exact or upper.")] = None,
    knockout: Annotated[bool, typer.Option("--knockout", help="Set the genes' counts to 0.")] = False,
    fold: Annotated[str | None, typer.Option(help="Multiply them: 0.5,2,4.")] = None,
    doses: Annotated[bool, typer.Option("--doses", help="Run through perturbation.doses, with curves.")] = False,
    renormalise: Annotated[
        bool, typer.Option("--renormalise", help="Bring profiles back to their library size, as measuring would.")
    ] = False,
    spots: Annotated[
        list[str] | None,
        typer.Option(
            help="region=CX (of a phantom's truth), joint=CX (cluster of `g2m eval space`) or sample=ID; repeatable, "
            "all must hold. All test spots by default.",
            metavar="WHERE",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Noises a spot.", min=1)] = None,
    random_sets: Annotated[
        int | None, typer.Option(help="Random sets expressed alike, to hold the change against.", min=0)
    ] = None,
    limit: Annotated[int, typer.Option(help="At most this many spots, drawn at random.", min=1)] = 40,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/perturbations/NAME by default, replaced if it is there."),
    ] = None,
    preset: options.Preset = "base",
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.Seed = 0,
) -> None:
    """Redraw spots from edited expression with the same noise: pictures, changes.csv with intervals, a page."""
    if sum((knockout, fold is not None, doses)) != 1:
        raise InputError("give one of --knockout, --fold and --doses")
    if (genes is None) == (gene_set is None):
        raise InputError("give either --genes or --gene-set")
    from g2m_cli.settings import resolve
    from g2m_interpret import PRESETS

    given = {"perturbation.seeds": seeds, "perturbation.random_sets": random_sets, "enrichment.case": case}
    overrides = [*(set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    overrides += ["perturbation.renormalise=true"] if renormalise else []
    settings = resolve(PRESETS, preset, config=config, overrides=overrides, seed=seed)
    from g2m_cli.interpretation import perturbation_request as ask
    from g2m_cli.interpretation.perturbation import write_perturbation
    from g2m_cli.study import Study
    from g2m_data import open_dataset

    panel = open_dataset(study / "dataset", split="test").genes
    if gene_set is None:
        chosen = ask.named_genes(genes or "", panel)
        label = ", ".join(chosen[:3]) + (f" and {len(chosen) - 3} more" if len(chosen) > 3 else "")
    else:
        chosen = ask.genes_of_set(gene_set, gene_sets, Study(study), panel, settings.model.enrichment.case)
        label = gene_set
    request = ask.PerturbationRequest(
        model=model,
        genes=chosen,
        label=label,
        folds=(0.0,) if knockout else () if fold is None else ask.parse_folds(fold),
        where=ask.parse_where(spots or ()),
        limit=limit,
    )
    page, changes = write_perturbation(Study(study), settings, request, out=out)
    say(f"perturbation: {page}")
    columns = ["edit", "statistic", "before", "change", "low", "high", *({"beyond_random"} & {*changes.columns})]
    show(changes[columns].to_string(index=False, float_format="{:.4g}".format))
