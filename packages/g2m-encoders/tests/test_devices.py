"""On a GPU that is not there: fake tensors refuse to mix devices as a real one does."""

import dataclasses

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from g2m_encoders import PRESETS, ContrastiveModel, ContrastiveTask

CUDA = torch.device("cuda")
WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class RefuseWaiting(TorchDispatchMode):
    """Fail where the host waits for the device, or copies a constant to it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert func not in WAITS, f"{func} waits for the device"
        if func is torch.ops.aten._to_copy.default:
            target = torch.device(kwargs.get("device") or args[0].device)
            assert target.type == args[0].device.type, f"{func} from {args[0].device} to {target}"
        return func(*args, **kwargs)


class FakeGpuAccelerator:
    device = CUDA

    def prepare(self, model, optimizer):
        self.optimizer = optimizer
        return model, optimizer

    def backward(self, loss):
        """Torch's engine asks a real GPU for its context, so gradients are put in place by hand."""
        assert loss.requires_grad
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)


def settings_like(preset: str, **image):
    row = PRESETS[preset]
    return dataclasses.replace(
        row,
        expression=dataclasses.replace(row.expression, hidden=16, features=8),
        image=dataclasses.replace(row.image, pretrained=False, input_size=32, **image),
        batch_size=4,
    )


CASES = {
    "tiny": settings_like("tiny"),
    "base": settings_like("base"),
    "frozen": settings_like("paper", backbone="test_vit"),
}


@pytest.fixture(params=CASES)
def task(request, toy):
    model = ContrastiveModel.build(CASES[request.param], toy.GENES)  # timm reads numbers while it builds
    with FakeTensorMode():
        move_to_fake_gpu(model)
        task = ContrastiveTask(CASES[request.param], model)
        task.prepare(FakeGpuAccelerator())
        yield task


def move_to_fake_gpu(model):
    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                fake = torch.empty(value.shape, dtype=value.dtype, device=CUDA)
                module._parameters[name] = torch.nn.Parameter(fake, requires_grad=value.requires_grad)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = torch.empty(value.shape, dtype=value.dtype, device=CUDA)


def batch(genes: int, keys: torch.device, n: int = 4):
    return {
        "key": torch.arange(n, device=keys),
        "section": torch.arange(n) % 2,
        "patch": torch.zeros(n, 3, 32, 32, dtype=torch.uint8, device=CUDA),
        "expression": torch.zeros(n, genes, device=CUDA),
    }


@pytest.mark.parametrize("keys", ["cpu", "cuda"])
def test_a_step_computes_on_the_gpu_wherever_the_keys_are(task, toy, keys):
    losses = task.step(batch(len(toy.GENES), keys), 0)
    assert {value.device.type for value in losses.values()} == {"cuda"}
    assert task.optimizer.param_groups[0]["fused"]


def test_a_step_never_waits_for_the_gpu(task, toy):
    inputs = batch(len(toy.GENES), CUDA)
    with RefuseWaiting():
        task.step(inputs, 0)


@pytest.mark.parametrize("keys", ["cpu", "cuda"])
def test_an_evaluation_computes_on_the_gpu_and_reads_once(task, toy, keys, monkeypatch):
    reads = []

    def read(values):  # fake tensors hold no numbers
        reads.append({value.device.type for value in values})
        return [1.0] * len(values)

    def rows(sections, device):
        return [torch.arange(2, device=device), torch.arange(2, 4, device=device)]

    monkeypatch.setattr("g2m_encoders.scores._read", read)
    monkeypatch.setattr("g2m_encoders.task.rows_of_sections", rows)
    monkeypatch.setattr("g2m_encoders.frozen_features._name", lambda keys, patches: b"")
    assert task.evaluate([batch(len(toy.GENES), keys)])["loss"] == 1.0
    assert reads == [{"cuda"}]


def test_expression_is_embedded_on_the_gpu(task, toy):
    assert task.model.embed_expression(torch.zeros(3, len(toy.GENES), device=CUDA)).device.type == "cuda"
    assert task.model.null_embedding().device.type == "cuda"
