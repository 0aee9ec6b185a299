"""What the terminal shows: messages on standard error, progress bars, results on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from g2m_cli.processes import rank

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 20.0


def say(message: str) -> None:
    """Tell the person what is happening (standard error, so that results can be piped); of several processes, one."""
    if rank() == 0:
        complain(message)


def complain(message: str) -> None:
    """Tell the person what went wrong, from whichever process."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201


def show(message: str) -> None:
    """Print a result (standard output)."""
    if rank() == 0:
        print(message, flush=True)  # noqa: T201


def track(sequence: Iterable[T], description: str = "", total: float | None = None) -> Iterator[T]:
    """Pass items through under a progress bar; in a log file, a line now and then instead.

    Parameters
    ----------
    sequence
        What is worked through.
    description
        What is being done, in a few words.
    total
        Number of items, if ``sequence`` does not know its length.
    """
    if total is None and hasattr(sequence, "__len__"):
        total = len(sequence)  # type: ignore[arg-type]
    with progress(description, total) as advance:
        for item in sequence:
            yield item
            advance(1, "")


class progress:  # noqa: N801 - used like a function: `with progress("…", 10) as advance`
    """A progress bar as a context manager that gives ``advance(steps, note)``."""

    def __init__(self, description: str, total: float | None, start: float = 0, *, shown: bool = True) -> None:
        self.description, self.total, self.done, self.shown = description, total, start, shown and rank() == 0
        self._interactive = self.shown and sys.stderr.isatty()

    def __enter__(self) -> Callable[[float, str], None]:
        self._began = self._last = time.monotonic()
        self._first = self.done
        if self._interactive:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(self.description, total=self.total, completed=int(self.done), note="")
            self._bar.start()
        return self.advance

    def advance(self, steps: float, note: str) -> None:
        """Count ``steps`` more as done and show ``note`` beside the bar."""
        self.done += steps
        if self._interactive:
            self._bar.update(self._task, advance=steps, note=note)
        elif self.shown and time.monotonic() - self._last > _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            rate = (self.done - self._first) / (self._last - self._began)
            of = f" of {self.total:g}" if self.total else ""
            say(f"{self.description}: {self.done:g}{of} ({rate:.3g}/s) {note}".rstrip())

    def __exit__(self, *_: object) -> None:
        if self._interactive:
            self._bar.stop()
