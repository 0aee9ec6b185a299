"""A GPU that is not there: tensors with a device and a shape but no numbers, which refuse to mix devices as CUDA does.

PyTorch's fake tensors alone take a forward pass on a device without a driver; autograd's engine asks the driver for a
stream. So these lie on the device type `lazy`, which has none, and tell everybody but PyTorch's own internals that they
lie on `cuda:0`. What would make a host wait for a GPU is noted: numbers that are read, copies between the two.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU, HIDDEN = torch.device("cuda:0"), torch.device("lazy:0")


class Accelerator:
    """What tasks use of Accelerate's, in one process and full precision."""

    device = GPU

    def prepare(self, *objects):
        for item in objects:
            if isinstance(item, torch.nn.Module):
                item.to(GPU)
        return objects

    def backward(self, loss):
        loss.backward()


@contextlib.contextmanager
def absent_gpu() -> Iterator[None]:
    """Make every tensor a fake one, and `cuda` a device."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    mode.__deepcopy__ = lambda _: mode  # a copied tensor belongs to the same mode
    with (
        mock.patch.object(FakeTensor, "device", property(_device)),
        mock.patch.object(torch.nn.Module, "to", _move),
        mock.patch.object(torch.Tensor, "pin_memory", lambda tensor: tensor),
        mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", _attention),
        mode,
        _Hide(),
    ):
        yield


class Watch(TorchDispatchMode):
    """Counts operations by name; those in `waits` would make the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.calls, self.waits = Counter(), []

    @property
    def count(self) -> int:
        """Operations that are kernels, more or less: no views."""
        return sum(count for name, count in self.calls.items() if name.partition(".")[0] not in _VIEWS)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        namespace, _, name = str(function).partition(".")
        if namespace == "aten":
            self.calls[name] += 1
            source = {"_to_copy": args[:1], "copy_": args[1:2]}.get(name.partition(".")[0], ())
            blocking = not (kwargs or {}).get("non_blocking") and not (name.startswith("copy_") and args[2:] == (True,))
            if blocking and source and source[0].fake_device.type != result.fake_device.type:
                self.waits.append(name)
        return result


@contextlib.contextmanager
def numbers_may_be_read() -> Iterator[None]:
    """Let tensors be brought to the host, as at the end of a score; generators are made there, for want of a driver."""
    with (
        mock.patch.object(FakeTensor, "tolist", _numbers),
        mock.patch.object(torch.Tensor, "item", return_value=0.5),
        mock.patch.object(torch.Tensor, "__float__", return_value=0.5),
        mock.patch.object(torch, "Generator", _HostGenerator),
    ):
        yield


_VIEWS = {
    "view", "_unsafe_view", "detach", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "select", "slice",
    "split", "split_with_sizes", "unbind", "as_strided", "alias", "lift_fresh", "chunk", "reshape", "_reshape_alias",
}  # fmt: skip


class _Hide(TorchDispatchMode):
    """Lets what is asked for on `cuda` be made on `lazy`."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        args = tuple(_hidden(item) if isinstance(item, torch.device) else item for item in args)
        kwargs = {name: _hidden(item) if name == "device" else item for name, item in (kwargs or {}).items()}
        return function(*args, **kwargs)


class _HostGenerator(torch.Generator):
    def __new__(cls, device=None):
        return super().__new__(cls)


class _FusedAttention(torch.autograd.Function):
    """One kernel each way, as CUDA has; elsewhere it is a dozen."""

    @staticmethod
    def forward(context, query, key, value):
        context.save_for_backward(query, key, value)
        return query.new_empty(*query.shape[:-1], value.shape[-1])

    @staticmethod
    def backward(context, gradient):
        return tuple(torch.empty_like(tensor) for tensor in context.saved_tensors)


def _attention(query, key, value, *_, **__):
    return _FusedAttention.apply(query, key, value)


_DEVICE = FakeTensor.device


def _device(tensor):
    own = _DEVICE.fget(tensor)
    internal = "/torch/_" in sys._getframe(1).f_code.co_filename
    return own if internal or own.type != HIDDEN.type else GPU


def _hidden(device):
    return HIDDEN if device is not None and torch.device(device).type == "cuda" else device


def _move(module, device=None, *_, **__):
    # Module.to exchanges its tensors, which fake ones do not allow: they are told where they are instead
    if device is not None and not isinstance(device, torch.dtype):
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.fake_device = _hidden(torch.device(device))
            tensor.constant = None  # a known number would be computed with on the host
    return module


def _numbers(tensor):
    return np.full(tensor.shape, 0.5 if tensor.dtype.is_floating_point else 1).tolist()
