"""Training steps of the paper's recipes on a GPU: `[--against REF] [--steps 20] [--only "gan 64 px,phase 1"] [--demo]`.

Images a second, peak memory and the share of the GPU's bf16 peak (MFU) for the GAN at 64 and 128 px, phase 1 and Stable
Diffusion; beside each the plain recipe (float32, micro-batches of 8, every loss read) and, with `--against`, the same
step in another commit's code. `ci/bench diffusion_speed` compares Stable Diffusion with diffusers' own loop.

Without a GPU the same steps are counted instead, on one that is not there: operations that start a kernel, and those
that would make the host wait. `--small` tries the timing on a CPU with networks so small that nothing is learned of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from benches._commit import ROOT, checked_out, python_path
from benches._figure import Figure, run_measured
from benches._gpu_steps import STEPS

PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12}  # dense, of NVIDIA's data sheets
MOST_KERNELS = {"gan 64 px": 3000, "gan 128 px": 3000}
TIMES_BEFORE = {"gan 64 px": 5.0, "gan 128 px": 5.0}
TIMES_PLAIN = {"gan 64 px": 3.0, "gan 128 px": 3.0}
WARM_UP = 3


def measure(arguments: list[str]) -> list[Figure]:
    import torch

    parser = ArgumentParser(prog="ci/bench gpu")
    parser.add_argument("--against", metavar="REF", help="time the same steps in this commit's code too")
    parser.add_argument("--steps", type=int, default=20, help="updates that are timed")
    parser.add_argument("--only", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--demo", action="store_true", help="g2m demo first")
    parser.add_argument("--small", action="store_true", help="try the timing without a GPU")
    parser.add_argument("--one", nargs=2, metavar=("STEP", "RECIPE"), help="for its own use: time one and print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.one:
        print(json.dumps(timed(*chosen.one, chosen.steps, small=chosen.small)))
        sys.exit()
    names = chosen.only.split(",")
    if not (torch.cuda.is_available() or chosen.small):
        print("no GPU here: the steps are counted on one that is not there", file=sys.stderr)
        return [figure for name in names for figure in count(name)]
    figures = demo() if chosen.demo else []
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(checked_out(chosen.against)) if chosen.against else None
        for name in names:
            figures += compare(name, chosen, before)
    return figures


def count(name: str) -> list[Figure]:
    """Operations of a second step, which finds the optimisers' state made."""
    sys.path.insert(0, str(ROOT / "tests"))
    from absent_gpu import GPU, Accelerator, Watch, absent_gpu, numbers_may_be_read

    with absent_gpu():
        with numbers_may_be_read():
            task, batch = STEPS[name](GPU, False)
        task.prepare(Accelerator())
        task.step(batch, 0)
        with Watch() as watch:
            task.step(batch, len(batch["key"]))
    return [
        Figure(f"{name}: kernels a step", watch.count, at_most=MOST_KERNELS.get(name)),
        Figure(f"{name}: waits a step", len(watch.waits), at_most=0),
    ]


def compare(name: str, chosen: Any, before: Path | None) -> list[Figure]:
    """One step of ours, the plain recipe's, and another commit's, each in a process of its own."""
    ours = in_a_process(name, "ours", chosen)
    plain = in_a_process(name, "plain", chosen)
    figures = [
        Figure(f"{name}: ours", ours["rate"], "img/s"),
        Figure(f"{name}: peak memory", ours["gib"], "GiB"),
        Figure(f"{name}: MFU", 100 * ours["mfu"], "%"),
        Figure(f"{name}: over the plain recipe", ours["rate"] / plain["rate"], "x", bound(TIMES_PLAIN, name, chosen)),
    ]
    if before is not None:
        then = in_a_process(name, "ours", chosen, before)
        if then:
            times = ours["rate"] / then["rate"]
            figures.append(Figure(f"{name}: over {chosen.against}", times, "x", bound(TIMES_BEFORE, name, chosen)))
        else:
            print(f"{name}: does not run at {chosen.against}", file=sys.stderr)
    return figures


def bound(bounds: dict[str, float], name: str, chosen: Any) -> float | None:
    return None if chosen.small else bounds.get(name)


def in_a_process(name: str, recipe: str, chosen: Any, code: Path | None = None) -> dict[str, float]:
    """Time a step in a process of its own, with this checkout's packages or another's; nothing where it fails there."""
    line = [sys.executable, str(ROOT / "ci" / "bench"), "gpu", "--one", name, recipe, "--steps", str(chosen.steps)]
    environment = {**os.environ, "G2M_BENCH": "inside"}
    if code is not None:
        environment["PYTHONPATH"] = python_path(code)
    ended = subprocess.run(
        line + ["--small"] * chosen.small, env=environment, stdout=subprocess.PIPE, text=True, check=code is None
    )
    return json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else {}


def timed(name: str, recipe: str, steps: int, *, small: bool) -> dict[str, float]:
    """Images a second, peak memory and MFU of a task's steps."""
    import dataclasses

    import torch
    from accelerate import Accelerator
    from torch.utils.flop_counter import FlopCounterMode

    plain, gpu = recipe == "plain", torch.cuda.is_available()
    torch.set_float32_matmul_precision("highest" if plain else "high")
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = not plain, not plain
    accelerator = Accelerator(mixed_precision="no" if plain or not gpu else "bf16", cpu=not gpu)
    task, batch = STEPS[name](accelerator.device, small)
    if plain and hasattr(task.settings, "micro_batch"):
        task.settings = dataclasses.replace(task.settings, micro_batch=8)
    task.prepare(accelerator)
    n = len(batch["key"])
    with FlopCounterMode(display=False) as counter:
        task.step(batch, 0)
    for step in range(1, WARM_UP + 1 + steps):
        if step == WARM_UP + 1:
            wait(gpu)
            began = time.monotonic()
        losses = task.step(batch, step * n)
        if plain:
            [float(value) for value in losses.values()]
    wait(gpu)
    seconds = (time.monotonic() - began) / steps
    peak = next((peak for key, peak in PEAK_BF16.items() if gpu and key in torch.cuda.get_device_name()), float("nan"))
    return {
        "rate": n / seconds,
        "mfu": counter.get_total_flops() / seconds / peak,
        "gib": torch.cuda.max_memory_allocated() / 2**30 if gpu else float("nan"),
    }


def wait(gpu: bool) -> None:
    if gpu:
        import torch

        torch.cuda.synchronize()


def demo() -> list[Figure]:
    """The README's first command, whose first stage could not run on a GPU once."""
    with tempfile.TemporaryDirectory() as folder:
        ended = run_measured([sys.executable, "-m", "g2m_cli", "demo", f"{folder}/demo"], Path(folder) / "log")
        if ended.code:
            sys.exit(f"g2m demo ended with {ended.code}:\n{(Path(folder) / 'log').read_text()[-3000:]}")
    return [Figure("demo", ended.seconds, "s"), Figure("demo: peak memory of the host", ended.peak_gib, "GiB")]
