"""Checkpoints of a run: complete or absent, the newest few kept, named by images seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.files import write_json

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.nn import Module

    from g2m_cli.task import Task


def save_checkpoint(folder: Path, task: Task, accelerator: Accelerator, images_seen: int, keep: int) -> None:
    """Write a checkpoint beside the others in ``folder`` and rename it when complete; called by every process.

    ``Accelerate`` keeps modules and optimisers, ``task.safetensors`` and ``task.json`` what the task adds.
    """
    from safetensors.torch import save_file

    target = folder / f"{images_seen:012d}"
    partial = target.with_name(f".{target.name}.partial")
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    with _without_wrappers(accelerator):
        accelerator.save_state(str(partial / "accelerate"))
    if accelerator.is_main_process:
        tensors, numbers = _split(task.state_dict())
        save_file(tensors, partial / "task.safetensors")
        write_json(partial / "task.json", {"images_seen": images_seen, "numbers": numbers})
        for file in partial.rglob("*.safetensors"):  # which safetensors writes for the owner alone
            shutil.copymode(partial / "task.json", file)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if target.exists():  # the same images, the same state
            shutil.rmtree(partial)
        else:
            partial.rename(target)
        for old in _complete(folder)[: -max(keep, 1)]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def load_checkpoint(folder: Path, task: Task, accelerator: Accelerator) -> int:
    """Load the newest checkpoint in ``folder``, if there is one; give the number of images it has seen."""
    from safetensors.torch import load_file

    complete = _complete(folder)
    if not complete:
        return 0
    with _without_wrappers(accelerator):
        accelerator.load_state(str(complete[-1] / "accelerate"))
    record = json.loads((complete[-1] / "task.json").read_text())
    task.load_state_dict(_join(load_file(complete[-1] / "task.safetensors"), record["numbers"]))
    return int(record["images_seen"])


@contextmanager
def _without_wrappers(accelerator: Accelerator) -> Iterator[None]:
    """Name weights as the modules themselves do, so that another number of processes can go on from a checkpoint."""

    def save(models: list[Module], weights: list[dict[str, Any]], _: str) -> None:
        weights[:] = [accelerator.unwrap_model(model).state_dict() for model in models]

    def load(models: list[Module], _: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    hooks = accelerator.register_save_state_pre_hook(save), accelerator.register_load_state_pre_hook(load)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def _split(state: dict[str, Any], prefix: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a nested state into flat tensors (keys joined by ``/``) and flat numbers."""
    import torch

    tensors: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            inner_tensors, inner_numbers = _split(value, f"{prefix}{key}/")
            tensors |= inner_tensors
            numbers |= inner_numbers
        elif isinstance(value, torch.Tensor):
            # a copy: safetensors refuses tensors that share memory, and so does a state that goes on changing
            tensors[prefix + key] = value.detach().cpu().contiguous().clone()
        else:
            numbers[prefix + key] = value
    return tensors, numbers


def _join(tensors: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for path, value in (tensors | numbers).items():
        *parents, last = path.split("/")
        at = state
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
    return state
