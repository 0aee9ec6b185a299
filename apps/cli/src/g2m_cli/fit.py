"""The one training loop, for every stage.

Progress is counted in images seen. Batch, noise and schedules depend on (seed, images seen) alone, so that the same
command given again goes on with the same sequence, and two processes compute what one would.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from g2m_cli.checkpoint import load_checkpoint, save_checkpoint
from g2m_cli.console import progress
from g2m_cli.metrics_log import MetricsLog
from g2m_cli.order import PairOrder
from g2m_cli.processes import share_of
from g2m_cli.settings import LoopSettings
from g2m_cli.task import Batch, Draws, PairSource, Task

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor


_STEPS_BETWEEN_GLANCES = 50  # on a GPU: reading a loss waits for all that is queued there
_SHARE_OF_CHECKPOINTS = 0.05  # of the time


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained on, for how long, and what is looked at on the way.

    ``pairs`` are the training pairs and ``validation`` those it is scored on; ``total_images`` and ``batch_size``
    count over all processes; ``previews`` are conditions whose images are drawn into ``samples/``.
    """

    stage: str
    pairs: PairSource
    validation: PairSource | None
    total_images: int
    batch_size: int
    seed: int
    loop: LoopSettings
    previews: Tensor | None = None


def fit(task: Task, plan: Plan, run: Path, accelerator: Accelerator) -> None:
    """Train a task to the end of its plan, from the newest checkpoint in ``run`` if there is one.

    Writes ``metrics.jsonl``, ``checkpoints/<stage>/``, ``samples/`` and what the trackers write.

    Parameters
    ----------
    task
        What is trained.
    plan
        On what, for how long.
    run
        The run's folder; one process group at a time.
    accelerator
        Devices, precision and processes.
    """
    loop, main, checkpoints = plan.loop, accelerator.is_main_process, run / "checkpoints" / plan.stage
    task.prepare(accelerator)
    images_seen = load_checkpoint(checkpoints, task, accelerator)
    log = MetricsLog(run, plan.stage, images_seen) if main else None

    def report(values: Mapping[str, float]) -> None:
        if log is not None:
            log.write(images_seen, values)
        accelerator.log({f"{plan.stage}/{key}": value for key, value in values.items()}, step=images_seen)

    def look() -> None:
        """Score the model, and draw."""
        if plan.validation is not None:
            report({f"validation_{key}": value for key, value in task.evaluate(validation_batches(plan)).items()})
        if plan.previews is not None and isinstance(task, Draws) and main:
            save_sheet(
                task.sample(plan.previews, seed=plan.seed), run / "samples" / f"{plan.stage}-{images_seen:012d}.png"
            )

    heed = plan.batch_size * (1 if accelerator.device.type == "cpu" else _STEPS_BETWEEN_GLANCES)
    began = saved = time.monotonic()
    wait, began_at, note = 60 * loop.checkpoint_minutes, images_seen, ""
    with progress(f"{run.name} {plan.stage}", plan.total_images, images_seen, shown=main) as advance:
        for batch in training_batches(plan, images_seen, accelerator.process_index, accelerator.num_processes):
            # --- one update
            losses = task.step(batch, images_seen)
            before, images_seen = images_seen, images_seen + plan.batch_size
            last, due = images_seen >= plan.total_images, passed(before, images_seen, loop.checkpoint_images)

            # --- report
            row = last or passed(before, images_seen, loop.log_images or heed)
            if row or passed(before, images_seen, heed):
                values, late = averaged(losses, time.monotonic() - saved > wait, accelerator)
                due = due or late
            if row:
                rate = (images_seen - began_at) / (time.monotonic() - began)
                report({**values, "images_per_second": round(rate, 1)})
                note = "  ".join(f"{key} {value:.3f}" for key, value in list(values.items())[:3])
            advance(plan.batch_size, note)

            # --- look at it
            if not last and (
                passed(before, images_seen, loop.evaluate_images) or passed(before, images_seen, loop.sample_images)
            ):
                look()

            # --- keep it
            if last or due:
                asked = time.monotonic()
                save_checkpoint(checkpoints, task, accelerator, images_seen, loop.keep_checkpoints)
                saved = time.monotonic()
                wait = max(60 * loop.checkpoint_minutes, (saved - asked) / _SHARE_OF_CHECKPOINTS)
    look()
    accelerator.wait_for_everyone()


def training_batches(plan: Plan, images_seen: int, process: int, processes: int) -> Iterator[Batch]:
    """Give this process's contiguous slice of every global batch still to come.

    Raises
    ------
    InputError
        If the batch does not divide by the number of processes.
    """
    share = share_of(plan.batch_size, processes)
    order = PairOrder(len(plan.pairs), plan.seed)

    def batch(first: int) -> Batch:
        first += process * share
        return plan.pairs.batch(order.indices(first, share), order.keys(first, share))

    # one batch ahead: pairs are gathered while the device computes
    with ThreadPoolExecutor(max_workers=1) as ahead:
        following = None
        for first in range(images_seen, plan.total_images, plan.batch_size):
            current = following or ahead.submit(batch, first)
            following = ahead.submit(batch, first + plan.batch_size)
            yield current.result()


def validation_batches(plan: Plan) -> Iterator[Batch]:
    """Give the validation pairs in batches, in an order and with keys that never change."""
    assert plan.validation is not None
    order = PairOrder(len(plan.validation), seed=0)
    for first in range(0, len(plan.validation), plan.batch_size):
        count = min(plan.batch_size, len(plan.validation) - first)
        yield plan.validation.batch(order.indices(first, count), order.keys(first, count))


def passed(before: int, now: int, every: int) -> bool:
    """Whether a multiple of ``every`` lies in (before, now]; never, if ``every`` is 0."""
    return every > 0 and now // every > before // every


def averaged(losses: Mapping[str, Tensor], late: bool, accelerator: Accelerator) -> tuple[dict[str, float], bool]:
    """Average losses over processes and agree whether a checkpoint is due, since clocks differ; in one exchange."""
    import torch

    values = [value.detach().float().reshape(()) for value in losses.values()]
    stacked = torch.stack([*values, torch.full_like(values[0], float(late))])
    *means, share_late = accelerator.reduce(stacked, reduction="mean").tolist()
    return dict(zip(losses, means, strict=True)), share_late > 0


def save_sheet(images: Tensor, path: Path, columns: int = 8) -> None:
    """Save images, uint8 (n, height, width, 3), as one PNG sheet."""
    from PIL import Image

    array = np.asarray(images.cpu())
    count, height, width, _ = array.shape
    rows = -(-count // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(array):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
