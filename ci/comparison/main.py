"""The command `ci/same`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from benches._commit import ROOT, checked_out

from comparison.differences import differences, read
from comparison.study import run

_SHOWN = 60


def main() -> int:
    """Compare; 0 when nothing differs but what was meant to, 1 when something does, 2 when a study did not run."""
    parser = ArgumentParser(prog="ci/same", description="Does a change move a figure?")
    parser.add_argument("ref", metavar="REF", help="commit to compare the working tree with")
    parser.add_argument("--expect", action="append", default=[], metavar="PATTERN", help="differences that were meant")
    parser.add_argument("--folder", type=Path, help="keep both studies here, and go on with them")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g2m-same-")))
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        codes = {"before": stack.enter_context(checked_out(chosen.ref)), "now": ROOT}
        phantom = simulated(folder / "phantom")
        with ThreadPoolExecutor() as pool:
            ended = {
                name: pool.submit(run, code, phantom, folder / name / "study", folder / name / "log")
                for name, code in codes.items()
            }
        failed = [name for name in codes if ended[name].result()]
        for name in failed:
            log = (folder / name / "log").read_text().splitlines()
            print(f"{name}: the study did not run", *log[-12:], sep="\n", file=sys.stderr)
        if failed:
            return 2
        before, now = (read(folder / name / "study") for name in codes)
        found = differences(before, now)
    return told(found, chosen.expect, len(before))


def told(found: list[str], expected: list[str], compared: int) -> int:
    """Print the verdict and give the exit status."""
    meant = [line for line in found if any(fnmatch(line, f"*{pattern}*") for pattern in expected)]
    others = [line for line in found if line not in meant]
    for line in others[:_SHOWN]:
        print(line)
    if len(others) > _SHOWN:
        print(f"... and {len(others) - _SHOWN} more")
    verdict = f"{len(others)} of {compared:,} differ" if others else f"same ({compared:,} compared)"
    print(verdict + (f"; {len(meant)} differ as was meant" if meant else ""))
    return int(bool(others))


def simulated(phantom: Path) -> Path:
    """Give the phantom that both study, by the working tree's simulator."""
    if not phantom.is_dir():
        command = [sys.executable, "-m", "g2m_cli", "data", "simulate", str(phantom), "--preset", "tiny"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return phantom
