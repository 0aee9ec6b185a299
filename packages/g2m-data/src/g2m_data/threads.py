"""Compiled loops in Python's own threads: started when needed, in whatever process, and gone afterwards."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import cycle, pairwise
from threading import Thread
from typing import TypeVar

from g2m_data.ahead import map_ahead

Buffer = TypeVar("Buffer")

THREADS = 2
"""How many there are, unless the caller says so."""


def split(length: int, parts: int) -> list[slice]:
    """Cut a range in parts of about the same length, none of them empty."""
    parts = max(1, min(parts, length))
    ends = [length * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends) if stop > start]


def run_in_threads(work: Callable[[slice], None], parts: Sequence[slice]) -> None:
    """Do every part, the first of them in this thread.

    Raises
    ------
    Whatever one of them raises, when all have ended.
    """
    errors: list[BaseException] = []

    def attempt(part: slice) -> None:
        try:
            work(part)
        except BaseException as error:
            errors.append(error)

    others = [Thread(target=attempt, args=(part,)) for part in parts[1:]]
    for thread in others:
        thread.start()
    for part in parts[:1]:
        attempt(part)
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]


def run_ahead(
    work: Callable[[slice, Buffer], Buffer], parts: Sequence[slice], buffers: Sequence[Buffer], threads: int
) -> Iterator[tuple[slice, Buffer]]:
    """Do parts in threads ahead of the caller, each in one of a few buffers, and give them in order.

    Parameters
    ----------
    work
        Does a part in a buffer, and returns what to give.
    buffers
        One more than `threads`, so that they work while the caller uses what it was given; it is used anew when the
        next part is asked for.
    """
    done = map_ahead(lambda job: work(*job), zip(parts, cycle(buffers), strict=False), threads=threads)
    with closing(done):
        yield from zip(parts, done, strict=False)
