"""`g2m --help` beyond the interpreter's own start (bound: 0.5 s)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benches._figure import Figure


def measure(arguments: list[str]) -> list[Figure]:
    runs = int(arguments[0]) if arguments else 9
    g2m = str(Path(sys.executable).with_name("g2m"))
    pairs = [(_seconds([g2m, "--help"]), _seconds([sys.executable, "-c", "pass"])) for _ in range(runs)]
    return [
        Figure("g2m --help, median", statistics.median(a for a, _ in pairs), "s"),
        Figure("interpreter, median", statistics.median(b for _, b in pairs), "s"),
        Figure("difference, median", statistics.median(a - b for a, b in pairs), "s", at_most=0.5),
    ]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
