"""A screen of all 18,248 genes at one region, the first 200 redrawn: wall time on two cores (bound 30 minutes), and a
screen that is killed in the middle and started again ends with the same table. `ci/bench screen [--folder DIR]`.

The study is a small phantom section with the whole vocabulary and one Visium section of the demo's; encoders and
StyleGAN-G have the tiny preset's architecture but see a few hundred images only: a screen takes as long whatever its
models have learned. `--folder` keeps the study, and a second call takes what is there.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benches._figure import Figure, run_measured

GENES, TOP, WORKERS = 18_248, 200, 2
_SCREEN = ("--statistic", "lumen_share", "--spots", "region=CX", "--top", str(TOP), "--workers", str(WORKERS))
_RESULTS = "whole-verified"


def measure(arguments: list[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(prog="ci/bench screen")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--limit", type=int, default=40, help="spots")
    parser.add_argument("--seeds", type=int, default=8)
    chosen = parser.parse_args(arguments)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="g2m-bench-screen-"))
    folder.mkdir(parents=True, exist_ok=True)
    options = [*_SCREEN, "--limit", str(chosen.limit), "--seeds", str(chosen.seeds)]
    try:
        _prepare(folder)
        for name in ("whole", _RESULTS, "halves", "halves-verified"):
            shutil.rmtree(folder / name, ignore_errors=True)
        whole = run_measured(_command(folder, "whole", options), folder / "whole.log")
        if whole.code:
            sys.exit(f"the screen failed: {(folder / 'whole.log').read_text()[-2000:]}")
        killed = _kill_in_the_middle(_command(folder, "halves", options), folder / "halves-verified")
        again = run_measured(_command(folder, "halves", options), folder / "halves.log")
        same = (folder / "whole" / "screen.csv").read_bytes() == (folder / "halves" / "screen.csv").read_bytes()
        ranked = len((folder / "whole" / "screen.csv").read_text().splitlines()) - 1
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure("genes ranked", ranked, at_least=GENES),
        Figure(
            f"first {TOP} redrawn, {chosen.limit} spots x {chosen.seeds} seeds: wall", whole.seconds, "s", at_most=1800
        ),
        Figure("peak memory", whole.peak_gib, "GiB"),
        Figure("killed with so many verified", killed, at_least=1),
        Figure("the same command again: wall", again.seconds, "s"),
        Figure("its table is the same", float(same and again.code == 0), at_least=1),
    ]


def _command(folder: Path, out: str, options: list[str]) -> list[str]:
    return [_g2m(), "interpret", "screen", str(folder / "study"), *options, "--out", str(folder / out)]


def _g2m() -> str:
    return str(Path(sys.executable).with_name("g2m"))


def _kill_in_the_middle(command: list[str], results: Path) -> int:
    """Kill the command and its processes once a third is verified; give how many lines were written."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and _lines(results) < TOP // 3:
        time.sleep(0.5)
    if process.poll() is not None:
        sys.exit(f"the screen that was to be killed ended with {process.returncode}")
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", "--", f"-{process.pid}"], check=True)
    process.wait()
    return _lines(results)


def _lines(results: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in results.glob("*/verified-*.jsonl"))


def _prepare(folder: Path) -> None:
    """Make the study, as far as it is not there."""
    study, brief = folder / "study", ["--preset", "tiny", "--log-with", "none", "--set"]
    if not (folder / "phantom").is_dir():
        where = str(Path(__file__).resolve().parents[1])
        code = f"import sys; sys.path.insert(0, {where!r}); from benches import screen; screen.simulate"
        _run([sys.executable, "-c", f"{code}({str(folder / 'phantom')!r})"])
    steps = {
        "dataset": ["data", "build", folder / "phantom" / "study.toml", "--out", study / "dataset"],
        "runs/encoders/model": [
            "encoders", "train", study / "dataset", "--out", study / "runs" / "encoders", *brief, "total_images=512",
        ],
        "embeddings.h5ad": [
            "encoders", "embed", study / "dataset", study / "runs" / "encoders" / "model",
            "--out", study / "embeddings.h5ad",
        ],
        "runs/gan/model": [
            "gan", "train", study / "dataset", study / "embeddings.h5ad",
            "--encoder", study / "runs" / "encoders" / "model", "--out", study / "runs" / "gan",
            *brief, "stages.0.total_images=256",
        ],
    }  # fmt: skip
    study.mkdir(exist_ok=True)
    for made, step in steps.items():
        if not (study / made).exists():
            _run([_g2m(), *map(str, step)])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")


def simulate(folder: str) -> None:
    """Simulate the two sections, in this process, which alone knows their preset."""
    from dataclasses import replace

    from g2m_data.simulate import simulate_study
    from g2m_data.simulate.config import PRESETS

    train, test = PRESETS["tiny"].sections[0], PRESETS["demo"].sections[1]
    PRESETS["screen"] = replace(PRESETS["quarter"], sections=(train, test), holes=1, whole_slide=False)
    simulate_study(Path(folder), preset="screen", workers=1)
