"""Attribution and enrichment on a finished demo against what the phantom knows: `ci/bench interpret [--folder DIR]
[--gene-sets FILE] [--untrained N]`; without a folder a demo is made. Nothing is written there.

Bounds: completeness within 1e-5 on every ordered pair of regions; drivers told from genes without a true difference at
AUROC 0.95 on average and 0.85 at worst; a region's own set within the top five by NES in 80 % of pairs, among the
phantom's decoys and among all sets of the real GO:CC file; random rankings significant in no more than 3 % of sets;
NES and p equal to gseapy's to the digit. What has no bound is beside it for comparison.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

from benches._figure import Figure

_GO = Path(__file__).resolve().parents[3] / "shared" / "data" / "gene_sets" / "m5.go.cc.v2024.1.Mm.symbols.gmt"
_RANKED = (100, 200, 300)
_RANDOM = 20  # rankings


def measure(arguments: list[str]) -> list[Figure]:
    parser = ArgumentParser(prog="ci/bench interpret")
    parser.add_argument("--folder", type=Path, help="a finished `g2m demo`")
    parser.add_argument("--gene-sets", type=Path, default=_GO, help="GO:CC with mouse symbols")
    parser.add_argument("--untrained", type=int, default=5, help="encoders with fresh weights")
    chosen = parser.parse_args(arguments)
    if chosen.folder is not None:
        return _of_study(chosen.folder, chosen.gene_sets, chosen.untrained)
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        subprocess.run([str(Path(sys.executable).with_name("g2m")), "demo", str(demo)], check=True)
        return _of_study(demo, chosen.gene_sets, chosen.untrained)


def _of_study(folder: Path, gene_sets: Path, untrained: int) -> list[Figure]:
    from g2m_cli.interpretation.attribution import attribute
    from g2m_cli.interpretation.clusters import REGION, labels_of
    from g2m_cli.interpretation.truth import driver_metrics, driver_scores
    from g2m_cli.study import Study
    from g2m_data import open_dataset
    from g2m_interpret import PRESETS, shared_top

    study = Study(folder)
    spots = open_dataset(study.dataset, split="test")
    labels = labels_of(study, spots, REGION)
    settings = replace(PRESETS["tiny"].attribution, untrained=untrained)
    found = attribute(study, spots, labels, settings, samplewise=False, pairs=None, seed=0)
    truth, shared = driver_metrics(driver_scores(study.dataset, found, spots.truth(), labels)), shared_top(found)
    return [
        Figure("ordered pairs of regions", found.n_obs),
        Figure("completeness error, worst pair", found.obs["completeness_error"].max(), at_most=1e-5),
        Figure("drivers, AUROC", truth["driver_auroc_mean"], at_least=0.95),
        Figure("drivers, AUROC of the worst pair", truth["driver_auroc_min"], at_least=0.85),
        Figure("... means at neutral factors, AUROC", truth["driver_auroc_neutral_mean"]),
        Figure("... means at neutral factors, AUROC of the worst pair", truth["driver_auroc_neutral_min"]),
        *(
            Figure(f"... {name}, {measure}", value)
            for measure, own in (("AUROC", "driver_auroc_mean"), ("AUPRC", "driver_auprc_mean"))
            for name, value in _margins(truth, measure.lower(), truth[own])
        ),
        Figure("score / difference of means, AUROC", truth["sensitivity_auroc"]),
        Figure("... untrained encoders", truth["untrained_sensitivity_auroc"]),
        Figure("top 100 genes shared with the difference of means", 100 * shared["difference"].mean(), "%"),
        Figure("... with untrained encoders", 100 * shared["untrained"].mean(), "%"),
        *_of_enrichment(study.dataset / "truth" / "gene_sets.gmt", gene_sets, found),
        *_of_doses(folder / "report" / "metrics.json"),
    ]


def _margins(truth: dict, measure: str, own: float) -> list[tuple[str, float]]:
    difference, untrained = truth[f"difference_of_means_{measure}"], truth[f"untrained_{measure}"]
    return [
        ("own", own),
        ("difference of means", difference),
        ("margin over it", own - difference),
        ("untrained encoders", untrained),
        ("margin over them", own - untrained),
    ]


def _of_enrichment(phantom: Path, gene_sets: Path, found) -> list[Figure]:  # type: ignore[no-untyped-def]
    from g2m_cli.interpretation.truth import share_within_top, true_set_ranks
    from g2m_interpret import EnrichmentSettings, enrich_pairs, read_gmt

    own = read_gmt(phantom)
    files = {"the phantom's decoys": own}
    if gene_sets.is_file():
        regions = {name: genes for name, genes in own.items() if name.startswith("PHANTOM_REGION_")}
        files["real GO:CC sets"] = {**read_gmt(gene_sets), **regions}
    else:
        print(f"skipped: {gene_sets} is not there, so true sets are not ranked among real ones", file=sys.stderr)
    figures = []
    for among, sets in files.items():
        for count in _RANKED:
            table = enrich_pairs(found, sets, EnrichmentSettings(top_genes=count)).table
            ranks = true_set_ranks(table, sets)
            assert ranks is not None
            bound = {"at_least": 80.0} if count == EnrichmentSettings().top_genes else {}
            name = f"true set among {among}, {count} genes"
            figures += [
                Figure(f"{name}: in top 5", 100 * share_within_top(ranks), "%", **bound),
                Figure(f"{name}: median of sets tested", ranks["of"].median()),
            ]
        figures += _of_chance(among, sets, found)
    return figures


def _of_chance(among: str, sets: dict, found) -> list[Figure]:  # type: ignore[no-untyped-def]
    """Random genes with random scores, enriched and beside that enriched by gseapy itself."""
    import gseapy
    import numpy as np
    import pandas as pd

    from g2m_interpret import EnrichmentSettings, enrich_ranking, match_gene_sets

    settings, random = EnrichmentSettings(), np.random.default_rng(0)
    matched, _ = match_gene_sets(sets, found.var_names.tolist(), max_size=found.n_vars)
    tables, apart = [], 0.0
    for number in range(_RANDOM):
        genes = random.choice(found.var_names.to_numpy(), settings.top_genes, replace=False)
        ranking = pd.Series(random.gamma(1.0, size=len(genes)), index=genes).sort_values(ascending=False)
        tables.append(enrich_ranking(ranking, matched, settings))
        if number:
            continue
        direct = gseapy.prerank(
            rnk=ranking, gene_sets={name: list(members) for name, members in matched.items()}, min_size=1, max_size=500,
            permutation_num=settings.permutations, seed=settings.seed, threads=1, outdir=None, no_plot=True,
        ).res2d.set_index("Term").loc[tables[0]["term"]]  # fmt: skip
        for ours, theirs in (("nes", "NES"), ("p", "NOM p-val")):
            apart = max(apart, float(np.abs(tables[0][ours].to_numpy() - direct[theirs].to_numpy(float)).max()))
    every = pd.concat(tables)
    shown = every["leading"] > settings.leading_genes
    significant = every["p"] < settings.significance
    return [
        Figure(f"random rankings, {among}: p < 0.02", 100 * significant.mean(), "%", at_most=3),
        Figure(f"... and more than 4 leading genes, of all sets: {among}", 100 * (significant & shown).mean(), "%"),
        Figure(f"NES and p less gseapy's, {among}", apart, at_most=0),
    ]


def _of_doses(path: Path) -> list[Figure]:
    """Dose responses that the study's own report has, of the factors that its generator follows."""
    from g2m_cli.interpretation.factors import followed_factors, obeys, signed_spearman

    metrics = json.loads(path.read_text()) if path.is_file() else {}
    doses = metrics.get("perturbation", {}).get("factors", {})
    if not doses:
        print(f"skipped: {path} has no perturbation.factors, so there is no dose response", file=sys.stderr)
        return []
    followed = followed_factors(metrics["models"]["gan"])
    figures = []
    for factor, dose in doses.items():
        mark = "followed" if factor in followed else "not followed"
        figures += [
            Figure(f"{factor} ({mark}): Spearman of dose and statistic, right sign", signed_spearman(dose)),
            Figure(f"{factor} ({mark}): share of random sets exceeded", _known(dose["beyond_random"])),
        ]
    good = sum(factor in doses and obeys(doses[factor]) for factor in followed)
    share = 100 * good / len(followed) if followed else 0.0
    return [*figures, Figure("factors followed: dose response beyond random", share, "%", at_least=80)]


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
