"""`g2m demo` for two seeds (or those named), measured from outside, against its bounds; `--folder DIR` keeps it."""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from benches._figure import Figure, run_measured


def measure(arguments: list[str]) -> list[Figure]:
    parser = ArgumentParser(prog="ci/bench demo")
    parser.add_argument("seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--folder", type=Path, help="where the demos are kept, as demo-SEED")
    chosen = parser.parse_args(arguments)
    g2m = str(Path(sys.executable).with_name("g2m"))
    figures = []
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory() as folder:
            out = (chosen.folder or Path(folder)) / f"demo-{seed}"
            if out.exists():
                sys.exit(f"{out} is there already; a demo is timed from the beginning, so name another --folder")
            run = run_measured([g2m, "demo", str(out), "--seed", str(seed)], log=Path(folder) / "log")
            if run.code:
                sys.exit(f"g2m demo --seed {seed} ended with {run.code}:\n{(Path(folder) / 'log').read_text()[-3000:]}")
            metrics = json.loads((out / "report" / "metrics.json").read_text())
            # those in the report lack its own
            metrics["seconds"] = json.loads((out / "seconds.json").read_text())
        figures += of_seed(f"seed {seed}", metrics, run.seconds, run.peak_gib)
    return figures


def of_seed(name: str, metrics: dict, seconds: float, peak_gib: float) -> list[Figure]:
    from g2m_cli.interpretation.factors import followed_factors

    gan, tissue, encoders = metrics["models"]["gan"], metrics["models"]["tissue-w1"], metrics["encoders"]
    followed = followed_factors(gan)
    return [
        Figure(f"{name}: wall", seconds, "s", at_most=720),
        Figure(f"{name}: peak memory", peak_gib, "GiB", at_most=6),
        Figure(f"{name}: region accuracy, real", gan["region_accuracy_real"], at_least=0.95),
        Figure(f"{name}: region accuracy, mean RGB", gan["region_accuracy_mean_rgb"], at_most=0.6),
        Figure(f"{name}: region accuracy, generated", gan["region_accuracy"], at_least=0.55),
        Figure(f"{name}: retrieval top 5", encoders["retrieval_top5"]),
        Figure(f"{name}: retrieval over chance", encoders["retrieval_top5"] / encoders["chance_top5"], at_least=10),
        Figure(f"{name}: factors followed", len(followed), at_least=2),
        Figure(f"{name}: Fréchet generated / test", gan["frechet_generated_vs_test"]),
        Figure(f"{name}: Fréchet train / test", gan["frechet_train_vs_test"]),
        Figure(f"{name}: Fréchet shuffled / test", gan["frechet_shuffled_vs_test"]),
        Figure(f"{name}: tissue-w1, images", tissue["n"]["generated"]),
        Figure(f"{name}: tissue-w1, region accuracy", tissue["region_accuracy"], at_least=0.35),
        Figure(f"{name}: tissue-w1, Fréchet generated / test", tissue["frechet_generated_vs_test"]),
        Figure(f"{name}: tissue-w1, Fréchet train / test at that N", tissue["frechet_train_vs_test"]),
        *of_clusters(name, metrics["clusters"]),
        *of_interpretation(name, metrics, followed),
        *(figure for model in ("gan", "tissue-w1") for figure in of_fidelity(name, model, metrics["models"][model])),
    ]


def of_clusters(name: str, clusters: dict) -> list[Figure]:
    embedding, expression = clusters["ari_joint_vs_sample"], clusters["ari_expression_vs_sample"]
    return [
        Figure(f"{name}: ARI joint / sample-wise", clusters["ari_joint_vs_samplewise"], at_least=0.79),
        Figure(f"{name}: ARI joint / sample", embedding),
        Figure(
            f"{name}: ... apart from region / sample", abs(embedding - clusters["ari_region_vs_sample"]), at_most=0.02
        ),
        Figure(f"{name}: ARI expression / sample", expression, at_least=max(0.2, 5 * embedding)),
        Figure(f"{name}: ARI joint / region", clusters["ari_joint_vs_region"]),
    ]


def of_interpretation(name: str, metrics: dict, followed: list[str]) -> list[Figure]:
    """Genes and sets against the truth; of the factors that generated patches follow, how many obey their genes.

    A factor that is followed but was not driven counts as one that does not obey.
    """
    from g2m_cli.interpretation.factors import obeys, signed_spearman

    genes, factors = metrics["attribution"], metrics["perturbation"]["factors"]
    obeying = [factor for factor in followed if factor in factors and obeys(factors[factor])]
    return [
        Figure(f"{name}: attribution, driver AUROC, mean", genes["driver_auroc_mean"], at_least=0.95),
        Figure(f"{name}: attribution, driver AUROC, worst pair", genes["driver_auroc_min"], at_least=0.85),
        Figure(f"{name}: difference of means, AUROC", genes["difference_of_means_auroc"]),
        Figure(f"{name}: attribution, completeness error", genes["completeness_error"], at_most=1e-5),
        Figure(f"{name}: enrichment, true set in top 5", metrics["enrichment"]["true_set_in_top5"], at_least=0.8),
        *(Figure(f"{name}: {factor}, Spearman of dose", signed_spearman(value)) for factor, value in factors.items()),
        Figure(
            f"{name}: factors followed that rise with dose beyond random sets",
            len(obeying) / len(followed) if followed else 0.0,
            at_least=0.8,
        ),
        *(
            Figure(f"{name}: seconds of {stage}", metrics["seconds"][stage], "s")
            for stage in ("attribution", "enrichment", "perturbation", "report")
        ),
    ]


def of_fidelity(name: str, model: str, metrics: dict) -> list[Figure]:
    """Floor, value and ceiling of every metric; of StyleGAN-G, whose every spot was drawn, the order is bound."""
    figures, apart = [], True
    for metric, found in metrics["fidelity"].items():
        if not {"real", "generated", "shuffled"} <= found.keys():
            continue
        real, generated, shuffled = (found[kind] for kind in ("real", "generated", "shuffled"))
        ordered = real["low"] > generated["high"] and generated["low"] > shuffled["high"]
        apart &= ordered
        for kind in ("shuffled", "generated", "real"):
            figures.append(Figure(f"{name}: {model}, {metric}, {kind}", found[kind]["value"]))
    bound = {"at_least": 1} if model == "gan" else {}
    return [*figures, Figure(f"{name}: {model}, fidelity ordered with intervals apart", int(apart), **bound)]
