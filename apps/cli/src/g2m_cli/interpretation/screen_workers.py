"""Verifying a screen's edits in one process or several, which note each result at once and share a folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import progress, say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.redrawing import Models
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from g2m_interpret import Edit, Familiarity, Simulator

T = TypeVar("T")

_MOST_BY_DEFAULT = 4
_SECONDS_BETWEEN_LOOKS = 1.0
_state: dict[str, Event] = {}  # of a worker: what tells it to stop


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a process needs to verify edits; it opens models of its own."""

    study: Path
    model: str
    expression: NDArray[np.float32]
    keys: NDArray[np.int64]
    patch_um: float
    batch_size: int
    edits: tuple[Edit, ...]
    folder: Path
    """Of the results."""
    parents: dict[str, str | None]
    """Ids of dataset and models: results of others are not trusted."""
    familiarity: Familiarity | None
    resamples: int
    seed: int

    def simulator(self, models: Models) -> Simulator:
        """Draw and measure as this job does."""
        return models.simulator(self.patch_um, batch_size=self.batch_size)

    @property
    def request(self) -> dict[str, Any]:
        """What makes results this job's own."""
        return {"models": self.parents, "resamples": self.resamples, "seed": self.seed}


def verify(job: Job, models: Models, *, workers: int) -> pd.DataFrame:
    """Verify every edit that no earlier run has, and give the results of all.

    Raises
    ------
    InputError
        If the folder holds something else, or a process was killed.
    """
    from g2m_interpret import pending_edits

    simulator = job.simulator(models)
    pending = pending_edits(simulator, job.expression, job.edits, job.keys, job.folder, **job.request)
    if len(pending) < len(job.edits):
        say(f"{job.folder}: {len(job.edits) - len(pending)} of {len(job.edits)} are verified already")
    workers = min(workers, len(pending))
    if workers > 1:
        _side_by_side(replace(job, edits=tuple(pending)), workers)
    return _verify(job, simulator, (0, 1), track)


def sensible_workers() -> int:
    """One process a core, up to four; one where there is a GPU, which they would only share."""
    import torch

    return 1 if torch.cuda.is_available() else min(_MOST_BY_DEFAULT, len(os.sched_getaffinity(0)))


def _verify(job: Job, simulator: Simulator, share: tuple[int, int], follow: Any) -> pd.DataFrame:
    from g2m_interpret import verify_edits

    return verify_edits(
        simulator,
        job.expression,
        job.edits,
        job.keys,
        job.folder,
        share=share,
        familiarity=job.familiarity,
        track=follow,
        **job.request,
    )


def _side_by_side(job: Job, workers: int) -> None:
    before = _lines(job.folder)
    context = get_context("spawn")  # a fork of a process that has used torch can hang
    stop = context.Event()
    with (
        progress("Verifying", len(job.edits)) as advance,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_listen, initargs=(stop,)) as pool,
    ):
        waiting = {pool.submit(_verify_share, job, (number, workers)) for number in range(workers)}
        seen = 0
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=_SECONDS_BETWEEN_LOOKS, return_when=FIRST_EXCEPTION)
                now = _lines(job.folder) - before
                advance(now - seen, "")
                seen = now
                for future in finished:
                    future.result()
        except BrokenProcessPool:
            raise InputError(
                f"{job.folder}: a process was killed, by lack of memory most likely; the same command goes on, with "
                "fewer --workers if need be"
            ) from None
        finally:
            stop.set()  # after an interruption nobody waits for a whole share


def _listen(stop: Event) -> None:
    _state["stop"] = stop
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process once the one that started it is gone: an idle worker would wait for its next call for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _verify_share(job: Job, share: tuple[int, int]) -> None:
    import torch

    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // share[1]))
    models = Models.open(Study(job.study), job.model)
    _verify(job, job.simulator(models), share, _while_wanted)


def _while_wanted(sequence: Iterable[T], **_: Any) -> Iterator[T]:
    """Go on until the process that wants the results stops."""
    for item in sequence:
        if _state["stop"].is_set():
            return
        yield item


def _lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("verified-*.jsonl"))
