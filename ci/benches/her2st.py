"""`g2m run` on the five real sections: time (bound: 20 minutes) and scale (bound: 1 % of the published lattice fit)."""

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
    samples = metrics["dataset"]["samples"]
    return [
        Figure("wall", run.seconds, "s", at_most=1200),
        Figure("peak memory", run.peak_gib, "GiB"),
        *(
            Figure(f"{name}: mpp off the table", abs(samples[name]["mpp"] / mpp - 1) * 100, "%", at_most=1)
            for name, mpp in _MPP.items()
        ),
        Figure("retrieval top 5", metrics["encoders"]["retrieval_top5"]),
        Figure("chance", metrics["encoders"]["chance_top5"]),
    ]
