"""Another commit's code beside this one's, run in this environment."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def checked_out(reference: str) -> Iterator[Path]:
    """Give a worktree of a commit, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="g2m-ref-") as folder:
        where = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(where), reference], cwd=ROOT, check=True)
        try:
            yield where
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(where)], cwd=ROOT, check=True)


def python_path(code: Path) -> str:
    """Give the PYTHONPATH by which a checkout's packages go before those that are installed."""
    return os.pathsep.join(map(str, [*sorted(code.glob("packages/*/src")), code / "apps" / "cli" / "src"]))
