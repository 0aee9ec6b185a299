"""Files that repositories such as GEO hand out gzip'd."""

import gzip
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import IO, cast

DAMAGE = (OSError, EOFError, zlib.error)
"""What a file that is cut short or damaged raises while it is unpacked."""


def open_plain(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked on the way if it is gzip'd: its first bytes tell, not its name."""
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzipped(path) else path.open("rb")


def unpack(path: Path) -> IO[bytes]:
    """Unpack a gzip'd file to an unnamed temporary one, for readers that move about in it; gone when it is closed."""
    temporary = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
    with open_plain(path) as packed:
        shutil.copyfileobj(packed, temporary, 1 << 20)
    temporary.seek(0)
    return temporary


def is_gzipped(path: Path) -> bool:
    """Whether a file begins as gzip's do."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
