"""Compiled loops in Python's own threads: started when needed, in whatever process, and gone afterwards."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from threading import Thread
from typing import TypeVar

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
        At least one more than `threads`, so that they work while the caller uses what it was given; it is used anew
        when the next part is asked for.
    """
    with ThreadPoolExecutor(threads) as pool:
        running: list[Future[Buffer]] = [
            pool.submit(work, part, buffer) for part, buffer in zip(parts, buffers[:-1], strict=False)
        ]
        try:
            for number, part in enumerate(parts):
                ahead = number + len(buffers) - 1
                if ahead < len(parts):
                    running.append(pool.submit(work, parts[ahead], buffers[ahead % len(buffers)]))
                yield part, running.pop(0).result()
        finally:
            for future in running:
                future.cancel()
