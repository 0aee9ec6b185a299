"""Writing so that what is there is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def complete_folder(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside `target` to write into; it takes the target's place at the end, if all went well.

    Whom the user's umask allows may read it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        yield temporary
        plain = temporary / ".plain"
        plain.touch()
        for file in temporary.rglob("*.safetensors"):  # which safetensors writes for the owner alone
            shutil.copymode(plain, file)
        plain.unlink()
        if target.exists():
            discarded = temporary.with_name(temporary.name + ".old")
            target.rename(discarded)
            temporary.rename(target)
            shutil.rmtree(discarded)
        else:
            temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
