"""A step under mixed precision: what must stay in float32 does, and compiling is optional."""

import math

import pytest
import torch

from g2m_gan import GanTask
from g2m_gan.layers import FourierInput, ModulatedConv


class Plain:
    """An accelerator of nothing."""

    device = torch.device("cpu")

    def prepare(self, *objects):
        return objects

    def backward(self, loss):
        loss.backward()


class Mixed(Plain):
    """A stand-in for `accelerate.Accelerator(mixed_precision="bf16")`: prepared modules compute in it, give float32."""

    def prepare(self, *objects):
        for module in objects:
            if isinstance(module, torch.nn.Module):
                module.forward = self._mixed(module.forward)
        return objects

    def _mixed(self, forward):
        def wrapped(*arguments):
            with self.autocast():
                outputs = forward(*arguments)
            return [x.float() for x in outputs] if isinstance(outputs, list) else outputs.float()

        return wrapped

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16)


def step(settings, features, guide, batch, accelerator=None):
    task = GanTask.build(settings, 12, features, guide)
    if accelerator is not None:
        task.prepare(accelerator)
    return task, {name: float(value) for name, value in task.step(batch, 0).items()}


def test_a_step_in_bfloat16_is_the_float32_step_but_for_rounding(micro, small_features, small_guide, batch_from):
    _, plain = step(micro, small_features, small_guide, batch_from(0))
    task, mixed = step(micro, small_features, small_guide, batch_from(0), Mixed())
    assert mixed != plain
    assert mixed == {name: pytest.approx(value, rel=0.03, abs=0.02) for name, value in plain.items()}
    held = [*task.generator.parameters(), *task.discriminator.parameters(), *task.ema.module.parameters()]
    assert {parameter.dtype for parameter in held} == {torch.float32}
    assert all(math.isfinite(float(parameter.detach().abs().max())) for parameter in held)


def test_waves_and_demodulation_are_not_rounded_to_bfloat16():
    torch.manual_seed(0)
    waves, layer = FourierInput(8, 4, 16, bandwidth=2.0), ModulatedConv(8, 8, 16)
    w, x = torch.randn(4, 16), torch.randn(4, 8, 4, 4)
    plain = waves(w)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(waves(w), plain)
        # weights of 1e4 square to what bfloat16 holds to 2 digits; the layer's output does not depend on their scale
        small = layer(x, w, torch.zeros(4, 1, 4, 4))
        layer.weight.data *= 1e4
        large = layer(x, w, torch.zeros(4, 1, 4, 4))
    torch.testing.assert_close(large.float(), small.float(), rtol=0.02, atol=0.02)


def test_networks_that_cannot_be_compiled_run_as_ever(
    micro, small_features, small_guide, batch_from, changed, monkeypatch
):
    def fail(*_, **__):
        raise OSError("no compiler")

    monkeypatch.setattr(torch, "compile", fail)
    _, plain = step(micro, small_features, small_guide, batch_from(0))
    with pytest.warns(UserWarning, match="runs uncompiled"):
        _, asked = step(changed(micro, {"compile": True}), small_features, small_guide, batch_from(0), Plain())
    assert asked == plain
