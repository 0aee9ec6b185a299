"""Several processes of one command, as ``accelerate launch`` and ``torchrun`` start them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta

from g2m_cli.errors import InputError

PATIENCE = timedelta(hours=24)  # of processes that wait while the main one builds, draws or scores


def count() -> int:
    """Give the number of processes that the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Give this process's number; 0 is the main one, and the only one where no launcher started several."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def share_of(batch_size: int, processes: int, *, groups_of: int = 1, setting: str = "batch_size") -> int:
    """Give the samples of a batch that each process gets.

    Parameters
    ----------
    batch_size, processes
        Of all processes together, and how many they are.
    groups_of
        A process gets whole groups of so many samples.
    setting
        What the user calls the batch's size.

    Raises
    ------
    InputError
        If they do not divide it.
    """
    if batch_size % (processes * groups_of):
        groups = f" x groups of {groups_of} samples" if groups_of > 1 else ""
        raise InputError(
            f"{setting} = {batch_size} is not a multiple of {processes} processes{groups}: choose a multiple of "
            f"{processes * groups_of}, or another number of processes"
        )
    return batch_size // processes


def by_main_process(work: Callable[[], object]) -> None:
    """Let the main process do it while the others wait; the launcher ends them all when one fails."""
    if rank() == 0:
        work()
    wait_for_everyone()


def wait_for_everyone() -> None:
    """Wait until every process is here."""
    if count() > 1:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env

        PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=PATIENCE).wait_for_everyone()


def leave() -> None:
    """Part from the other processes, once all stages of a command are done."""
    if count() > 1 and "torch" in sys.modules:
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
