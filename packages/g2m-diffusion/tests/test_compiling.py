import dataclasses

import pytest
import torch

from g2m_diffusion import DiffusionTask
from g2m_diffusion.compiling import compile_or_not


class Plain:
    """An accelerator of nothing."""

    device = torch.device("cpu")

    def prepare(self, *objects):
        return objects

    def backward(self, loss):
        loss.backward()


@pytest.fixture
def no_compiler(monkeypatch):
    def fail(*_, **__):
        raise OSError("no compiler\nand a trace")

    monkeypatch.setattr(torch, "compile", fail)


def test_a_denoiser_that_cannot_be_compiled_runs_as_ever(micro, null_embedding, batch_from, no_compiler):
    plain, asked = (
        DiffusionTask.build(
            dataclasses.replace(micro, denoiser=dataclasses.replace(micro.denoiser, compile=compiled)),
            12,
            null_embedding,
            batch_from(0)["patch"],
        )
        for compiled in (False, True)
    )
    plain.prepare(Plain())
    with pytest.warns(UserWarning, match=r"runs uncompiled: torch.compile fails on cpu \(no compiler\)$"):
        asked.prepare(Plain())
    assert float(asked.step(batch_from(0), 0)["loss"]) == float(plain.step(batch_from(0), 0)["loss"])
    assert list(asked.denoiser.state_dict()) == list(plain.denoiser.state_dict())


def test_what_can_be_compiled_is(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", False)  # put back afterwards
    calls = []
    module = torch.nn.Linear(2, 2)
    monkeypatch.setattr(module, "compile", lambda: calls.append("compiled"))
    assert compile_or_not([module], "cpu")
    assert calls == ["compiled"]
    assert torch._dynamo.config.suppress_errors
