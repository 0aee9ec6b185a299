"""``g2m interpret``: which genes drew the tissue, and what if they were gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g2m_cli.commands import options
from g2m_cli.console import say, show
from g2m_cli.errors import InputError

if TYPE_CHECKING:
    from g2m_cli.settings import RunSettings
    from g2m_interpret import InterpretationSettings

Spots = Annotated[
    list[str] | None,
    typer.Option(
        help="region=CX (of a phantom's truth), joint=CX or samplewise=CX (clusters of `g2m eval space`) or sample=ID; "
        "repeatable, all must hold. All test spots by default.",
        metavar="WHERE",
    ),
]
SpotsLimit = Annotated[int, typer.Option(help="At most this many spots, drawn at random.", min=1)]

app = typer.Typer(help="Which genes tell clusters apart, and what they would change.", no_args_is_help=True)


def _resolve(
    study: Path,
    preset: str | None,
    config: Path | None,
    set_: list[str] | None,
    given: Mapping[str, object],
    seed: int | None = None,
) -> RunSettings[InterpretationSettings]:
    """Resolve the settings; options of their own come after ``--set``, and None is not given."""
    from g2m_cli.kept_settings import resolve_in_study
    from g2m_interpret import PRESETS

    overrides = [*(set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    return resolve_in_study(study, "interpret", PRESETS, preset=preset, config=config, overrides=overrides, seed=seed)


@app.command()
def attribute(
    study: options.Study,
    clusters: Annotated[
        str | None,
        typer.Option(
            help="region (true ones of a phantom's pure windows), joint or samplewise (of `g2m eval space`); "
            "by default as the settings say: samplewise of paper presets, else region where there is a truth, else "
            "joint."
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
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.StudySeed = None,
) -> None:
    """Integrated gradients between clusters of the test spots: attributions.h5ad, genes.csv, figures, a page."""
    settings = _resolve(study, preset, config, set_, {}, seed)
    from g2m_cli.interpretation.attribution import parse_pairs, write_attribution
    from g2m_cli.interpretation.clusters import kind_of_clusters
    from g2m_cli.study import Study

    page, found = write_attribution(
        Study(study),
        settings,
        clusters=kind_of_clusters(Study(study), clusters or settings.model.clusters),
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
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
) -> None:
    """Gene sets among the top genes of each pair (gseapy prerank): enrichment.csv, terms.csv, figures, a page."""
    settings = _resolve(study, preset, config, set_, {"enrichment.case": case, "enrichment.top_genes": top})
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
    spots: Spots = None,
    seeds: Annotated[int | None, typer.Option(help="Noises a spot.", min=1)] = None,
    random_sets: Annotated[
        int | None, typer.Option(help="Random sets expressed alike, to hold the change against.", min=0)
    ] = None,
    limit: SpotsLimit = 40,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/perturbations/NAME by default, replaced if it is there."),
    ] = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.StudySeed = None,
) -> None:
    """Redraw spots from edited expression with the same noise: pictures, changes.csv with intervals, a page."""
    if sum((knockout, fold is not None, doses)) != 1:
        raise InputError("give one of --knockout, --fold and --doses")
    if (genes is None) == (gene_set is None):
        raise InputError("give either --genes or --gene-set")
    given = {
        "perturbation.seeds": seeds,
        "perturbation.random_sets": random_sets,
        "perturbation.renormalise": "true" if renormalise else None,
        "enrichment.case": case,
    }
    settings = _resolve(study, preset, config, set_, given, seed)
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


@app.command()
def screen(
    study: options.Study,
    statistic: Annotated[
        str,
        typer.Option(
            help="Image statistic: nuclei_per_mm2, nuclear_share, lumen_share, lipid_share, eosin_density, "
            "tubule_diameter_um or collagen_share."
        ),
    ] = "nuclei_per_mm2",
    model: Annotated[str, typer.Option(help="Generator: a run of the study that is a StyleGAN-G.")] = "gan",
    genes_from: Annotated[
        str, typer.Option(help="Genes to rank: all of the panel, or a text file with a symbol on each line.")
    ] = "all",
    gene_sets: Annotated[Path | None, typer.Option(help="Rank the sets of a local GMT file in place of genes.")] = None,
    case: Annotated[str | None, typer.Option(help="How the sets' symbols are matched: exact or upper.")] = None,
    knockout: Annotated[bool, typer.Option("--knockout", help="Set counts to 0; the default.")] = False,
    fold: Annotated[float | None, typer.Option(help="Multiply counts instead: 2.")] = None,
    renormalise: Annotated[
        bool, typer.Option("--renormalise", help="Bring profiles back to their library size, as measuring would.")
    ] = False,
    spots: Spots = None,
    top: Annotated[
        int | None,
        typer.Option(help="So many of the first are redrawn; by default the preset's, 200 genes, or 20 sets.", min=1),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Noises a spot.", min=1)] = None,
    random_sets: Annotated[
        int | None,
        typer.Option(help="Random genes, or sets for each set, expressed alike, to hold changes against.", min=0),
    ] = None,
    limit: SpotsLimit = 40,
    workers: Annotated[
        int | None, typer.Option(help="Processes that redraw; by default one a core up to 4, or 1 with a GPU.", min=1)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/screens/NAME by default, replaced if it is there."),
    ] = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.StudySeed = None,
) -> None:
    """Rank all genes by what their change would do to an image statistic, and redraw the first: screen.csv, a page.

    The same command again goes on where one was stopped, and a larger --top adds to what there is.
    """
    if knockout and fold is not None:
        raise InputError("give one of --knockout and --fold")
    if fold is not None and not (0 < fold < math.inf and fold != 1):
        raise InputError(f"--fold {fold:g}: expected a positive number other than 1; --knockout sets counts to 0")
    if gene_sets is not None and genes_from != "all":
        raise InputError("give one of --genes-from and --gene-sets")
    given = {
        "perturbation.seeds": seeds,
        "perturbation.random_sets": random_sets,
        "perturbation.renormalise": "true" if renormalise else None,
        "enrichment.case": case,
    }
    settings = _resolve(study, preset, config, set_, given, seed)
    from g2m_cli.interpretation import screen_request as ask
    from g2m_cli.interpretation.perturbation_request import parse_where
    from g2m_cli.interpretation.screen import write_screen
    from g2m_cli.interpretation.screen_metrics import strongest
    from g2m_cli.interpretation.screen_workers import sensible_workers
    from g2m_cli.study import Study

    own = settings.model
    named, sets, source = ask.read_source(
        Study(study), genes_from, gene_sets, case=own.enrichment.case, largest=own.enrichment.max_size
    )
    request = ask.ScreenRequest(
        model=model,
        statistic=statistic,
        where=parse_where(spots or ()),
        fold=fold or 0.0,
        top=top or (own.perturbation.verified if sets is None else ask.SETS),
        limit=limit,
        genes=named,
        sets=sets,
        source=source,
    )
    page, table = write_screen(Study(study), settings, request, workers=workers or sensible_workers(), out=out)
    say(f"screen: {page}")
    columns = [str(table.columns[0]), "rank", "predicted", "change", "low", "high", "same_sign", "beyond_random"]
    show(strongest(table)[columns].head(20).to_string(index=False, float_format="{:.4g}".format))


@app.command()
def images(
    study: options.Study,
    model: Annotated[str, typer.Option(help="Generator: a run of the study that is a StyleGAN-G.")] = "gan",
    statistics: Annotated[
        str | None,
        typer.Option(help="nuclei_per_mm2,lumen_share,…, separated by commas; all that have a gradient by default."),
    ] = None,
    towards: Annotated[
        list[str] | None,
        typer.Option(
            help="Also which genes move the image encoder's embedding of what is drawn towards the mean of real "
            "patches elsewhere: region=BAT; repeatable, as --spots.",
            metavar="WHERE",
        ),
    ] = None,
    spots: Spots = None,
    seeds: Annotated[int | None, typer.Option(help="Noises a spot.", min=1)] = None,
    limit: SpotsLimit = 40,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; STUDY/interpret/images/NAME by default, replaced if it is there."),
    ] = None,
    preset: options.StudyPreset = None,
    set_: options.Set = None,
    config: options.Config = None,
    seed: options.StudySeed = None,
) -> None:
    """Which genes move which image statistic, by gradient through the generator: genes.csv, figures, a page."""
    settings = _resolve(study, preset, config, set_, {"perturbation.seeds": seeds}, seed)
    from g2m_cli.interpretation.images import ImagesRequest, write_images
    from g2m_cli.interpretation.perturbation_request import parse_where
    from g2m_cli.study import Study

    request = ImagesRequest(
        model=model,
        statistics=tuple(name.strip() for name in (statistics or "").split(",") if name.strip()),
        where=parse_where(spots or ()),
        towards=parse_where(towards or (), "--towards"),
        limit=limit,
    )
    page, table = write_images(Study(study), settings, request, out=out)
    say(f"images: {page}")
    show(table.to_string(index=False, float_format="{:.3g}".format))
