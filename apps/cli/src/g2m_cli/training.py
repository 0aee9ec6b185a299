"""What every training stage shares: its run folder, its pairs, and the export of what it has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say
from g2m_cli.device import AUTO, allow_tf32, resolve_precision
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent
from g2m_cli.processes import PATIENCE
from g2m_cli.provenance import read_provenance
from g2m_cli.run_folder import claim, has_begun, is_complete, locked

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

    from g2m_cli.pairs import TrainingPairs
    from g2m_cli.task import Task
    from g2m_data import PairedDataset

_VALIDATION_PAIRS = 512
_SOME_PATCHES = 500
_PREVIEWS = 16


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a run is computed and watched; its id does not depend on it, its last digits depend on the precision."""

    precision: str = AUTO
    """Mixed precision: no, bf16, fp16, or auto, which is the launcher's word, else bf16 on a GPU and no elsewhere."""
    trackers: str = "tensorboard"
    """Where metrics go besides metrics.jsonl, separated by commas; or none."""

    def check(self) -> None:
        """Refuse what training would refuse, before hours are spent on what comes before it.

        Raises
        ------
        InputError
            For a precision or a tracker that is not there.
        """
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        resolve_precision(self.precision)
        known = [str(name) for name in LOGGER_TYPE_TO_CLASS]
        for name in self.trackers.split(","):
            if name not in (*known, "none"):
                raise InputError(f"--log-with {name}: expected none or some of {', '.join(known)}")


def train_in(run: Path, record: dict[str, Any], launch: Launch, work: Callable[[Accelerator], Task]) -> Path:
    """Train in a run folder and give the folder of the exported model.

    Running it again resumes; a finished run is left alone.

    Parameters
    ----------
    run
        The run's folder.
    record
        Provenance of what is trained.
    launch
        Precision and trackers.
    work
        Trains with the accelerator it is given and returns the task to export.

    Raises
    ------
    InputError
        If the folder holds another run, or another process is at work in it.
    """
    session = run_in(run, record, launch)
    with session as (accelerator, finished):
        if not finished:
            export(work(accelerator), run, session.record, accelerator)
    return run / "model"


class run_in:  # noqa: N801 - used like a function: `with run_in(run, …) as (accelerator, finished)`
    """Claim and lock a run folder, and start Accelerate with its trackers."""

    def __init__(self, run: Path, record: dict[str, Any], launch: Launch) -> None:
        self.run, self.launch, self.record = run, launch, dict(record)
        self._lock = ExitStack()

    def __enter__(self) -> tuple[Accelerator, bool]:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        self.launch.check()
        trackers, precision = self.launch.trackers, precision_of(self.run, self.launch.precision)
        allow_tf32()
        self.accelerator = Accelerator(
            mixed_precision=precision,
            log_with=None if trackers == "none" else trackers.split(","),
            project_dir=self.run,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        self.record |= {"precision": precision, "device": self.accelerator.device.type}
        if self.accelerator.is_main_process:
            self._lock.enter_context(locked(self.run))
            claim(self.run, self.record)
        finished = is_complete(self.run)
        self.accelerator.wait_for_everyone()
        if finished:
            say(f"{self.run}: complete already")
        else:
            self.accelerator.init_trackers("tensorboard")
        return self.accelerator, finished

    def __exit__(self, *error: Any) -> None:
        from accelerate.state import AcceleratorState

        # not `end_training`, which would end the processes' connection too: the next stage of a study needs it
        for tracker in self.accelerator.trackers:
            tracker.finish()
        # modules and what wraps them refer to each other: the next stage shall not find them still on the GPU
        self.accelerator.free_memory()
        AcceleratorState._reset_state()  # the next stage may compute in another precision
        self._lock.__exit__(*error)


def precision_of(run: Path, asked: str) -> str:
    """Decide a run's mixed precision: as asked for, else as it was begun, else as `resolve_precision` has it."""
    begun = (read_provenance(run) or {}).get("precision")
    if asked == AUTO and begun is not None and has_begun(run):
        return str(begun)
    return resolve_precision(asked)


def export(task: Task, run: Path, record: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Write the model once, complete or not at all."""
    if accelerator.is_main_process:
        with complete_or_absent(run / "model") as partial:
            task.export(partial, record)
    accelerator.wait_for_everyone()


def split_rows(dataset: PairedDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the rows of training pairs, and a fixed draw of validation pairs (other sections, as windows overlap)."""
    split = dataset.obs["split"].to_numpy()
    train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
    if len(validation) > _VALIDATION_PAIRS:
        validation = np.sort(np.random.default_rng(0).choice(validation, _VALIDATION_PAIRS, replace=False))
    return train, validation


def train_and_validation(
    dataset: PairedDataset,
    accelerator: Accelerator,
    batch_size: int,
    *,
    choose: Callable[[int], NDArray[np.int64]] = np.arange,
    **columns: Any,
) -> tuple[TrainingPairs, TrainingPairs | None]:
    """Give a dataset's training pairs and, if it has any, validation pairs.

    Parameters
    ----------
    dataset
        The paired dataset.
    accelerator
        Says where batches are wanted.
    batch_size
        Of the global batch, which must not exceed the training pairs.
    choose
        Gives the positions of the training pairs to use, from their number; all by default.
    **columns
        What batches carry: see `TrainingPairs`.

    Raises
    ------
    InputError
        If there are fewer training pairs than one batch.
    """
    from g2m_cli.pairs import TrainingPairs

    rows, held_out = split_rows(dataset)
    rows = rows[choose(len(rows))]
    check_batch(batch_size, len(rows), dataset.path)
    train = TrainingPairs(dataset, accelerator.device, rows=rows, **columns)
    return train, train.of(held_out) if len(held_out) else None


def some_patches(pairs: TrainingPairs) -> Tensor:
    """Give some hundred patches spread over the training pairs, uint8 (n, 3, height, width)."""
    return pairs.patches(pairs.rows[:: max(len(pairs) // _SOME_PATCHES, 1)])


def preview_conditions(pairs: TrainingPairs, validation: TrainingPairs | None) -> Tensor:
    """Give the conditions whose images are drawn into ``samples/``: of validation pairs, if there are any."""
    assert pairs.embedding is not None
    return pairs.embedding[(validation or pairs).rows[:_PREVIEWS]]


def check_batch(batch_size: int, pairs: int, dataset_folder: Path) -> None:
    """Refuse a batch larger than the training set.

    Raises
    ------
    InputError
        Says how many training pairs there are.
    """
    if pairs == 0:
        raise InputError(
            f'{dataset_folder}: no training pairs; give at least one sample split = "train" in the manifest'
        )
    if batch_size > pairs:
        raise InputError(
            f"{dataset_folder}: {pairs} training pairs are fewer than one batch; add --set batch_size={pairs}"
        )
