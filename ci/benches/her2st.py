"""`g2m run` on the five real sections: time (bound: 20 minutes), scale (bound: 1 % of the published lattice fit), and
genes and gene sets between clusters of C6, whose truth nobody knows: completeness alone is bound."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benches._figure import Figure, run_measured

_STUDY = Path(__file__).resolve().parents[2] / "tests" / "studies" / "her2st.toml"
_MPP = {"her2st_C2": 0.6890, "her2st_C3": 0.6859, "her2st_C4": 0.6865, "her2st_C5": 0.6857, "her2st_C6": 0.6878}


def measure(arguments: list[str]) -> list[Figure]:
    g2m = str(Path(sys.executable).with_name("g2m"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(arguments[0]) if arguments else Path(folder) / "her2st"
        log = Path(folder) / "log"
        run = run_measured([g2m, "run", str(_STUDY), "--out", str(out), "--preset", "tiny"], log=log)
        if run.code:
            sys.exit(f"g2m run ended with {run.code}:\n{log.read_text()[-3000:]}")
        metrics = json.loads((out / "report" / "metrics.json").read_text())
    samples, genes, sets = metrics["dataset"]["samples"], metrics["attribution"], metrics["enrichment"]
    return [
        Figure("wall", run.seconds, "s", at_most=1200),
        Figure("peak memory", run.peak_gib, "GiB"),
        *(
            Figure(f"{name}: mpp off the table", abs(samples[name]["mpp"] / mpp - 1) * 100, "%", at_most=1)
            for name, mpp in _MPP.items()
        ),
        Figure("retrieval top 5", metrics["encoders"]["retrieval_top5"]),
        Figure("chance", metrics["encoders"]["chance_top5"]),
        Figure("C6: spots compared", sum(genes["clusters"].values())),
        Figure("C6: ordered pairs of clusters", genes["pairs"]),
        Figure("C6: completeness error, worst pair", genes["completeness_error"], at_most=1e-5),
        Figure("C6: top 100 genes shared by halves of the spots", 100 * genes["top_genes_shared_by_halves"], "%"),
        Figure("C6: ... with the difference of means", 100 * genes["top_genes_shared_with_difference"], "%"),
        Figure("C6: ... with untrained encoders", 100 * genes["top_genes_shared_with_untrained"], "%"),
        Figure("C6: GO:CC sets that met the panel", sets["match"]["sets_kept"]),
        Figure("C6: terms, p < 0.02 and more than 4 leading genes", sets["significant"]),
        Figure("C6: tests", sets["tests"]),
    ]
