"""`torch.compile` where it can be had."""

import warnings
from collections.abc import Iterable

import torch
from torch import nn


def compile_or_not(modules: Iterable[nn.Module], device: torch.device | str) -> bool:
    """Have modules compiled at their first call, if a small function can be; names and weights stay as they are.

    Without a C compiler, or on a device that no kernels can be written for, they run as ever and a warning says why. A
    part that cannot be compiled runs as ever, too, and PyTorch says so.

    Parameters
    ----------
    modules
        In use from now on.
    device
        Where they will compute.

    Returns
    -------
    Whether they will be compiled.
    """
    try:
        tried = torch.ones(8, device=device, requires_grad=True)
        torch.autograd.backward(torch.compile(_probe)(tried))
    except Exception as error:  # whatever a compiler can fail with
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        warnings.warn(f"runs uncompiled: torch.compile fails on {device} ({reason})", stacklevel=2)
        return False
    torch._dynamo.config.suppress_errors = True
    for module in modules:
        module.compile()
    return True


def _probe(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor * 2).tanh().sum()
