"""Collectives that gradients pass through, so that several processes optimise one loss over the whole batch.

Each process computes the same global loss. A collective's backward sums the gradients of all these equal copies, and
DistributedDataParallel then averages over processes: what is left is the gradient of the loss, once.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def world_size() -> int:
    """Number of processes that train together; 1 outside of torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def gather(x: Float[Tensor, "batch dim"]) -> Float[Tensor, "global dim"]:
    """Rows of all processes in the order of their ranks, differentiable; every process must bring as many rows."""
    return _Gather.apply(x) if world_size() > 1 else x


def add_over_processes(x: Tensor) -> Tensor:
    """Sum over processes, differentiable."""
    return _Sum.apply(x) if world_size() > 1 else x
