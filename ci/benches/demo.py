"""`g2m demo` for two seeds, measured from outside, against the bounds of the main job."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benches._figure import Figure, run_measured


def measure(arguments: list[str]) -> list[Figure]:
    seeds = [int(argument) for argument in arguments] or [0, 1]
    g2m = str(Path(sys.executable).with_name("g2m"))
    figures = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "demo"
            run = run_measured([g2m, "demo", str(out), "--seed", str(seed)], log=Path(folder) / "log")
            if run.code:
                sys.exit(f"g2m demo --seed {seed} ended with {run.code}:\n{(Path(folder) / 'log').read_text()[-3000:]}")
            metrics = json.loads((out / "report" / "metrics.json").read_text())
        figures += of_seed(f"seed {seed}", metrics, run.seconds, run.peak_gib)
    return figures


def of_seed(name: str, metrics: dict, seconds: float, peak_gib: float) -> list[Figure]:
    gan, encoders = metrics["models"]["gan"], metrics["encoders"]
    followed = [
        factor
        for factor, value in gan["factors"].items()
        if value["p"] < 0.01 and value["within_region_generated"] * value["within_region_real"] > 0
    ]
    return [
        Figure(f"{name}: wall", seconds, "s", at_most=600),
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
    ]
