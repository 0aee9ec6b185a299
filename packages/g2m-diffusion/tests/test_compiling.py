import dataclasses

import pytest
import torch

from g2m_diffusion import DiffusionTask


class Plain:
    """An accelerator of nothing."""

    device = torch.device("cpu")

    def prepare(self, *objects):
        return objects

    def backward(self, loss):
        loss.backward()


def test_a_denoiser_that_cannot_be_compiled_runs_as_ever(micro, null_embedding, batch_from, monkeypatch):
    def fail(*_, **__):
        raise OSError("no compiler")

    monkeypatch.setattr("torch._dynamo.backends.inductor.inductor", fail)
    tasks = []
    for compiled in (False, True):
        chosen = dataclasses.replace(micro, denoiser=dataclasses.replace(micro.denoiser, compile=compiled))
        tasks.append(DiffusionTask.build(chosen, 12, null_embedding, batch_from(0)["patch"]))
        tasks[-1].prepare(Plain())
    plain, compiled = (float(task.step(batch_from(0), 0)["loss"]) for task in tasks)
    assert compiled == pytest.approx(plain, rel=1e-6)
    assert list(tasks[0].denoiser.state_dict()) == list(tasks[1].denoiser.state_dict())
