"""Folders that change at once: built beside their place, then renamed; what a killed process left is cleared."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path


def beside(directory: Path, role: str) -> Path:
    """Name a hidden sibling of a folder that belongs to this process; ``role`` is ``building`` or ``old``."""
    return directory.with_name(f".{directory.name}-{role}-{platform.node()}-{os.getpid()}")


def swap_in(building: Path, directory: Path) -> None:
    """Put a finished folder in place; an older one is moved aside first, so that no mixture is ever visible."""
    if not directory.exists():
        building.rename(directory)
        return
    old = beside(directory, "old")
    directory.rename(old)
    building.rename(directory)
    shutil.rmtree(old)


def sweep(directory: Path) -> None:
    """Clear what processes of this machine left beside a folder when they were killed while they wrote it.

    A former folder that was moved aside, and whose successor never came, is put back.
    """
    for former in _orphans(directory, "old"):
        if directory.exists():
            shutil.rmtree(former)
        else:
            former.rename(directory)
    for building in _orphans(directory, "building"):
        shutil.rmtree(building)


def _orphans(directory: Path, role: str) -> Iterator[Path]:
    if not Path("/proc/self").exists() or not directory.parent.is_dir():  # without /proc nobody can tell who is running
        return
    prefix = f".{directory.name}-{role}-{platform.node()}-"
    for path in directory.parent.iterdir():
        process = path.name.removeprefix(prefix)
        if path.name.startswith(prefix) and process.isdigit() and not _lives(process):
            yield path


def _lives(process: str) -> bool:
    return process != str(os.getpid()) and Path(f"/proc/{process}").exists()
