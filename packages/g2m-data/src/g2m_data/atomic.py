"""Outputs that are complete or absent: built beside their place, renamed at the end."""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from g2m_data.errors import InputError


@contextmanager
def temporary_sibling(out: Path, failure: str) -> Iterator[Path]:
    """A place beside `out` for a file or a folder that takes `out`'s place when the block ends well, and vanishes else.

    Parameters
    ----------
    out
        Where it goes; what is there is replaced.
    failure
        What to say after the reason if the disk does not allow it, such as ``"nothing was built"``.

    Raises
    ------
    InputError
        If there is no space or no permission.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        working = out.with_name(_working_name(out, str(os.getpid())))
        replaced = out.with_name(_working_name(out, f"old-{os.getpid()}"))
        try:
            yield working
            if out.exists():
                out.rename(replaced)
            working.rename(out)
        finally:
            if replaced.exists() and not out.exists():  # refused or interrupted in between
                replaced.rename(out)
            _remove(working)
            _remove(replaced)
    except OSError as error:  # no space, no permission
        raise InputError(f"{error.filename or out}: {error.strerror or error}; {failure}") from None


def _working_name(out: Path, process: str) -> str:
    return f".{out.name}.building-{platform.node()}-{process}"


def _sweep(out: Path) -> None:
    """Remove what was left behind by those that were building `out` and were killed on this machine.

    What one of them had moved aside and not yet replaced is put back.
    """
    if not Path("/proc/self").exists():  # no way to tell who is running
        return
    for path in out.parent.iterdir():
        process = path.name.rpartition("-")[2]
        is_ours = path.name.startswith(_working_name(out, ""))
        if is_ours and (process == str(os.getpid()) or not Path(f"/proc/{process}").exists()):
            if path.name.startswith(_working_name(out, "old-")) and not out.exists():
                path.rename(out)
            else:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
