"""`torch.compile` where it can be had."""

import torch
from torch import nn


def compile_or_not(module: nn.Module) -> None:
    """Have a module compiled at its first call; its names and its weights stay as they are.

    Where a part cannot be compiled (no C compiler, an operation that is not understood) it runs as ever, and PyTorch
    says so in a warning.
    """
    torch._dynamo.config.suppress_errors = True
    module.compile()
