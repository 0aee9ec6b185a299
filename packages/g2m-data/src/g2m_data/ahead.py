"""Work that threads do ahead of whoever needs it: decoders, compressors and numpy leave Python's lock alone."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def spare_threads() -> int:
    """Threads that pay: one a core, and not more than four, because each holds a block of what it works on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 4)


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Generator[Result, None, None]:
    """Like `map`, but threads do the next items while the caller uses a result; in order, and not more than they need.

    Parameters
    ----------
    threads
        As many as pay (`spare_threads`) by default. So many items are begun beyond the one that the caller has.

    Raises
    ------
    Whatever `work` raises, at the item that raised it; what was not begun is not done.
    """
    threads, waiting = threads or spare_threads(), iter(items)
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque(pool.submit(work, item) for item in islice(waiting, threads))
        try:
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(work, item) for item in islice(waiting, 1))
                yield result
                del result
        finally:
            for future in running:
                future.cancel()
