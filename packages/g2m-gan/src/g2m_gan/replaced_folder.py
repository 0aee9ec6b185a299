"""Folders that are complete or absent, and are replaced in one step.

The same file, to the byte, in every package that saves models (tests/test_copies.py).
"""

import ctypes
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE of Linux, which is RENAME_SWAP of macOS; AT_FDCWD


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside `target` to write into; it takes the target's place at the end, if all went well.

    A process killed at whatever moment leaves the old folder or the new one there: the two are exchanged in one step.
    Where the file system cannot do that, the old one is moved aside first, and put back by the next who writes there.
    What killed processes of this machine left is cleared; what a living one is writing is not. Whom the user's umask
    allows may read the folder.

    Parameters
    ----------
    target
        Replaced if it is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target)
    building, aside = _beside(target, "building"), _beside(target, "old")
    building.mkdir()
    try:
        yield building
        _open_to_the_umask(building)
        if not target.exists():
            building.rename(target)
        elif not _exchanged(building, target):
            target.rename(aside)
            building.rename(target)
    finally:
        if aside.exists() and not target.exists():  # refused in between
            aside.rename(target)
        shutil.rmtree(building, ignore_errors=True)  # once exchanged, the old one
        shutil.rmtree(aside, ignore_errors=True)


def _beside(target: Path, role: str, process: str = "") -> Path:
    return target.with_name(f".{target.name}.{role}-{platform.node()}-{process or os.getpid()}")


def _clear(target: Path) -> None:
    """Remove what killed processes of this machine left; what one had moved aside and not yet replaced is put back."""
    for role in ("old", "building"):
        prefix = _beside(target, role, "-").name.removesuffix("-")
        for path in target.parent.iterdir():
            process = path.name.removeprefix(prefix)
            if not path.name.startswith(prefix) or not process.isdigit() or _lives(int(process)):
                continue
            if role == "old" and not target.exists():
                path.rename(target)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _open_to_the_umask(folder: Path) -> None:
    """Give files that libraries write for the owner alone (safetensors) the mode of an ordinary file."""
    plain = folder / ".plain"
    plain.touch()
    for file in folder.rglob("*.safetensors"):
        shutil.copymode(plain, file)
    plain.unlink()


def _exchanged(one: Path, two: Path) -> bool:
    """Swap two names in one step; False where system or file system cannot."""
    names = os.fsencode(one), os.fsencode(two)
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            status = system.renamex_np(*names, _EXCHANGE)
        else:
            status = system.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
    except (AttributeError, OSError, TypeError):  # no such function
        return False
    return bool(status == 0)
