"""A measured figure, its bound, and a process measured from outside."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        if self.at_least is None and self.at_most is None:
            return None
        value = float(self.value)  # of numpy's, a comparison would be no bool that JSON knows
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def bound(self) -> str:
        low = "" if self.at_least is None else f">= {self.at_least:g}"
        high = "" if self.at_most is None else f"<= {self.at_most:g}"
        return f"{low} {high}".strip()

    def to_dict(self) -> dict[str, object]:
        return {"name": self.name, "value": float(self.value), "unit": self.unit, "bound": self.bound, "met": self.met}


@dataclass(frozen=True)
class Run:
    seconds: float
    peak_gib: float
    code: int


def run_measured(command: list[str], log: Path) -> Run:
    """Run a command; wall seconds and the peak resident memory of it and all its children together.

    The peak is the larger of what was sampled of all of them five times a second, shared pages divided among them, and
    of what the system says was the most of the command's own process, which a short peak does not escape.
    """
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _tree_kib(process.pid), _own_peak_kib(process.pid))
            time.sleep(0.2)
    return Run(time.monotonic() - began, peak / 2**20, process.returncode)


def _own_peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (OSError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _tree_kib(root: int) -> int:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(entry.name))
    total, frontier = 0, [root]
    while frontier:
        pid = frontier.pop()
        frontier += children.get(pid, [])
        try:
            # shared pages are divided among the processes that map them; of others it is not asked, for it takes time
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (OSError, ProcessLookupError):
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total
