"""HDF5 files written through Python's own file objects, so that a full disk is an error like any other.

Where the library itself meets a full disk, its message is several lines of addresses, and what it still holds crashes
the process when that ends.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import h5py


@contextmanager
def create_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Create an HDF5 file.

    Parameters
    ----------
    path
        A file that does not exist.

    Yields
    ------
    The file, open for writing; and a function that raises what the disk said if it has refused something, to be called
    now and then where writing takes long.

    Raises
    ------
    OSError
        When it is closed, at the latest, if the disk has no space for it.
    """
    with _Disk(path, "x+") as disk:
        try:
            with h5py.File(disk, "w") as file:
                yield file, disk.check
        except Exception:
            disk.check()  # what follows from a refusal is not the reason
            raise
        disk.check()


class _Disk(FileIO):
    """A file that remembers a refusal; what is written after it stays in memory, so that the library finds it again."""

    _refusal: OSError | None = None

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._kept: list[tuple[int, bytes]] = []

    def check(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def write(self, content: Any, /) -> int:
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view) and self._refusal is None:
            try:
                done += super().write(view[done:])
            except OSError as error:
                self._refusal = error
        if done < len(view):
            self._kept.append((self.tell(), bytes(view[done:])))
            self.seek(len(view) - done, os.SEEK_CUR)
        return len(view)

    def readinto(self, buffer: Any, /) -> int:
        view, start = memoryview(buffer).cast("B"), self.tell()
        done = super().readinto(view) or 0
        if self._refusal is None:
            return done
        view[done:] = bytes(len(view) - done)
        for at, content in self._kept:
            first, last = max(at, start), min(at + len(content), start + len(view))
            if first < last:
                view[first - start : last - start] = content[first - at : last - at]
        self.seek(start + len(view))
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END and self._kept:
            end = super().seek(0, os.SEEK_END)
            offset += max(end, *(at + len(content) for at, content in self._kept))
            whence = os.SEEK_SET
        return super().seek(offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        if self._refusal is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self._refusal = error
        return self.tell() if size is None else size
