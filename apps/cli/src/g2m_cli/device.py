"""What a model computes on, and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

from g2m_cli.console import say
from g2m_cli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

AUTO, NONE = "auto", "no"
PRECISIONS = (AUTO, NONE, "bf16", "fp16")
_LAUNCHER = "ACCELERATE_MIXED_PRECISION"  # what `accelerate launch --mixed_precision` tells its processes


def resolve_precision(asked: str = AUTO) -> str:
    """Decide the mixed precision: what was asked for, else the launcher's word, else what suits the device.

    Parameters
    ----------
    asked
        ``auto``, ``no``, ``bf16`` or ``fp16``.

    Returns
    -------
    ``no``, ``bf16`` or ``fp16``. On a CUDA device that computes in it, ``auto`` is ``bf16``; elsewhere ``no``.

    Raises
    ------
    InputError
        For another word, of the option or of the launcher, or for fp16 without a GPU.
    """
    if asked not in PRECISIONS:
        raise InputError(f"--precision {asked}: expected one of {', '.join(PRECISIONS)}")
    told = os.environ.get(_LAUNCHER, AUTO) if asked == AUTO else asked
    if told not in PRECISIONS:
        raise InputError(f"accelerate launch --mixed_precision {told}: expected no, bf16 or fp16; or give --precision")
    on_gpu = compute_device().type == "cuda"
    if told == "fp16" and not on_gpu:
        raise InputError("precision fp16 needs a GPU, and none is used here; give --precision no or bf16")
    if told == AUTO:
        return "bf16" if on_gpu and _has_bf16() else NONE
    if asked == AUTO and told == NONE and on_gpu and _has_bf16():
        _tell_of_the_launcher()
    return told


def _has_bf16() -> bool:
    """Whether the GPU computes in bf16 itself; others do it with float32, at no gain."""
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


@cache  # once, however many stages a command has
def _tell_of_the_launcher() -> None:
    say(
        "float32, as `accelerate launch` says, which it also does when it was told nothing; this GPU computes in bf16: "
        "--precision bf16, or --mixed_precision bf16 before -m"
    )


def compute_device() -> torch.device:
    """Give the device that models outside of training run on: the GPU, if there is one and it may be used."""
    import torch
    from accelerate.utils import parse_flag_from_env

    if torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU"):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def device_name() -> str:
    """Say what a timing was taken on."""
    import torch

    device = compute_device()
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads"


def autocast(precision: str) -> AbstractContextManager[None]:
    """Compute in a mixed precision on `compute_device`; layers that need float32 keep it by themselves."""
    import torch

    if precision == NONE:
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(compute_device().type, dtype)


def allow_tf32() -> None:
    """Let what stays in float32 use a GPU's tensor cores with their 10-bit mantissa, and time kernels to choose them.

    Nothing changes without a GPU. With timed kernels two trainings on a GPU may differ in their last digits, as they
    do anyway by the order in which gradients are added there.
    """
    import torch

    if compute_device().type != "cuda":
        return
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def to_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """Copy an array to a device without waiting for what is queued there: from page-locked memory where it is a GPU."""
    import torch

    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
