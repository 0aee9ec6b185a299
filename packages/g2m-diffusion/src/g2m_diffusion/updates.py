"""A module and its optimiser, plain or as an accelerator wraps them."""

import contextlib
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable  # for beartype
class Accelerator(Protocol):
    """What is used of `accelerate.Accelerator`; `no_sync`, `autocast` and `clip_grad_norm_` too, where they exist."""

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def prepare(self, *args: Any) -> Any: ...  # noqa: D102

    def backward(self, loss: Tensor) -> None: ...  # noqa: D102


class Updates:
    """Optimiser updates of one module, over one process or several.

    Parameters
    ----------
    module
        What learns; all of it is called through `parallel`.
    optimizer
        Of its parameters.

    Attributes
    ----------
    parallel
        The module, wrapped by `prepare` where gradients are averaged over processes.
    """

    def __init__(self, module: nn.Module, optimizer: Any) -> None:
        self.module = module
        self.parallel = module
        self.optimizer = optimizer
        self.accelerator: Any = None

    def prepare(self, accelerator: Accelerator) -> None:
        """Move module and optimiser to the accelerator's device and let it wrap them."""
        self.accelerator = accelerator
        if accelerator.device.type == "cuda":
            for group in self.optimizer.param_groups:  # one kernel for all parameters
                group |= {"fused": True, "foreach": False}
        self.parallel, self.optimizer = accelerator.prepare(self.module, self.optimizer)

    def begin(self, lr: float) -> None:
        """Start an update at a learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.parallel.train()
        self.optimizer.zero_grad()

    def gradients(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """The place of a micro-batch's forward and backward pass: gradients are exchanged in the last one only."""
        no_sync = getattr(self.accelerator, "no_sync", None)
        return contextlib.nullcontext() if last or no_sync is None else no_sync(self.parallel)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The accelerator's mixed precision."""
        autocast = getattr(self.accelerator, "autocast", None)
        return contextlib.nullcontext() if autocast is None else autocast()

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Add a loss's gradients."""
        if self.accelerator is None:
            torch.autograd.backward(loss)
        else:
            self.accelerator.backward(loss)

    def finish(self, clip_norm: float) -> Float[Tensor, ""]:
        """Clip the gradient (0: not at all), update, and give the length that it had."""
        clip = getattr(self.accelerator, "clip_grad_norm_", torch.nn.utils.clip_grad_norm_)
        length: Tensor = clip(self.module.parameters(), clip_norm or float("inf"))
        self.optimizer.step()
        return length.detach()
