"""A step of a benchmark in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Step:
    found: dict[str, Any]
    peak_gib: float

    def __getitem__(self, key: str) -> Any:
        return self.found[key]


def run_step(function: str, *arguments: object) -> Step:
    """Call `module.function` of `benches`, which gives a dict that JSON can hold; paths arrive as text."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "found.json"
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r}); "
        code += f"from benches._step import call; call({function!r}, sys.argv[1], sys.argv[2])"
        given = json.dumps([str(value) if isinstance(value, Path) else value for value in arguments])
        ended = subprocess.run([sys.executable, "-c", code, given, str(result)], stdout=sys.stderr)
        if ended.returncode:
            sys.exit(f"{function} ended with {ended.returncode}")
        return Step(**json.loads(result.read_text()))


def call(function: str, arguments: str, result: str) -> None:
    module, _, name = function.rpartition(".")
    found = getattr(importlib.import_module(f"benches.{module}"), name)(*json.loads(arguments))
    # the high-water mark of this program; what getrusage gives also counts that of the process which started it
    status = Path("/proc/self/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    Path(result).write_text(json.dumps({"found": found, "peak_gib": kib / 2**20}))
