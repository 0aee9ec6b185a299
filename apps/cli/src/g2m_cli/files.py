"""Files that are complete or absent: build beside the target, rename when done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from g2m_cli.errors import InputError


@contextmanager
def complete_or_absent(target: Path) -> Iterator[Path]:
    """Give a temporary sibling to build in, and rename it to ``target`` when the block ends without an error.

    A temporary left by a process that was killed is removed by the next one.

    Raises
    ------
    InputError
        If ``target`` exists already, since nothing of a user's is overwritten, or lies below a file.
    """
    if target.exists():
        raise InputError(f"{target} exists already; name another --out, or move it away first")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{target}: lies below a file; name another --out") from None
    for stale in target.parent.glob(f".{target.name}.partial-*"):
        _remove(stale)
    partial = target.parent / f".{target.name}.partial-{os.getpid()}"
    try:
        yield partial
        partial.rename(target)
    finally:
        _remove(partial)


def write_text(path: Path, text: str) -> None:
    """Replace a text file at once."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file at once."""
    write_text(path, json.dumps(value, indent=2, default=str) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
