"""One step, one score and one drawing of every kind of model on a GPU that is not there.

Its tensors have a device and a shape but no numbers, and they refuse to mix devices as CUDA does.
"""

import dataclasses
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from g2m_diffusion import AUTOENCODER_PRESETS, PRESETS, AutoencoderTask, DiffusionTask
from g2m_diffusion.denoiser import Denoiser

DEVICE = torch.device("cuda:0")
DIM, IMAGES, PIXELS = 8, 8, 16
SMALL_VAE = {
    "block_out_channels": (8, 16), "latent_channels": 4, "norm_num_groups": 4, "sample_size": PIXELS,
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
}  # fmt: skip
SD_SHAPED = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
    "cross_attention_dim": 16, "attention_head_dim": 2, "norm_num_groups": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip


class FakeAccelerator:
    """What tasks use of Accelerate's, in bf16 on a device that is not there."""

    device = DEVICE

    def prepare(self, *objects):
        self.modules = [item for item in objects if isinstance(item, torch.nn.Module)]
        for module in self.modules:
            module.to(DEVICE)
        return objects

    def backward(self, loss):
        """Give every parameter a gradient; autograd's own engine asks the driver for a stream."""
        assert loss.device == DEVICE
        assert loss.requires_grad
        for module in self.modules:
            for weight in module.parameters():
                weight.grad = torch.zeros_like(weight)

    def autocast(self):
        return torch.autocast("cuda", torch.bfloat16)


@contextmanager
def fake_gpu(monkeypatch):
    """Make every tensor a fake one."""
    # Module.to exchanges its tensors, which fake ones do not allow: tell them where they are instead
    monkeypatch.setattr(torch.nn.Module, "to", _move)
    mode = FakeTensorMode()
    mode.__deepcopy__ = lambda _: mode  # a copied tensor belongs to the same mode
    with mode:
        yield


def _move(module, device=None, **_):
    for tensor in (*module.parameters(), *module.buffers()):
        if device is not None:
            tensor.fake_device = torch.device(device)
    return module


@contextmanager
def numbers_may_be_read():
    """Let tensors be brought to the host, as at the end of a score; and let generators live there, which need a driver.

    A scheduler's own arithmetic is on the host anyway.
    """
    with (
        mock.patch.object(FakeTensor, "tolist", _numbers),
        mock.patch.object(torch.Tensor, "item", return_value=0.5),
        mock.patch.object(torch.Tensor, "__float__", return_value=0.5),
        mock.patch.object(torch, "Generator", HostGenerator),
    ):
        yield


class HostGenerator(torch.Generator):
    def __new__(cls, device=None):
        return super().__new__(cls)


def _numbers(tensor):
    return np.full(tensor.shape, 0.5 if tensor.dtype.is_floating_point else 1).tolist()


class Watch(TorchDispatchMode):
    """Count operations, and note those that would make the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.calls, self.waits = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        self.calls += 1
        name = str(function)
        copied = name.startswith(("aten._to_copy", "aten.copy_"))
        given = args[1] if name.startswith("aten.copy_") else (args[0] if args else None)
        if name.startswith(("aten._local_scalar_dense", "aten.nonzero", "aten.item")) or (
            copied
            and isinstance(result, torch.Tensor)
            and isinstance(given, torch.Tensor)
            and given.device.type != result.device.type
        ):
            self.waits.append(name)
        return result


def settings(row, *, codes=None, **denoiser):
    preset = PRESETS[row]
    return dataclasses.replace(
        preset,
        codes=dataclasses.replace(preset.codes, resolution=PIXELS, **codes or {}),
        denoiser=dataclasses.replace(preset.denoiser, **denoiser),
        sampling=dataclasses.replace(preset.sampling, steps=2),
        total_images=64,
        batch_size=IMAGES,
        micro_batch=IMAGES // 2,
    )


def pixels():
    chosen = settings("tiny", channels=(16, 32), norm_groups=8)
    with mock.patch.object(torch.Tensor, "__float__", return_value=0.5):  # the codec measures the patches' colours
        return DiffusionTask.build(chosen, DIM, torch.zeros(DIM), patches(), seed=0)


def latents():
    chosen = settings("tiny", codes={"autoencoder": "study", "views": "flips"}, channels=(16, 32), norm_groups=8)
    return DiffusionTask.build(chosen, DIM, torch.zeros(DIM), patches(), autoencoder=AutoencoderKL(**SMALL_VAE))


def stable_diffusion(monkeypatch):
    unet = UNet2DConditionModel(**SD_SHAPED)
    monkeypatch.setattr("g2m_diffusion.denoiser.load_unet", lambda *_: unet)
    # its step looks up the time in a table on the host, which holds no numbers here
    monkeypatch.setattr(DDIMScheduler, "step", lambda _, answer, time, codes, return_dict: (codes - answer,))
    return DiffusionTask.build(settings("paper"), DIM, torch.zeros(DIM), patches(), AutoencoderKL(**SMALL_VAE))


def patches():
    return torch.zeros(IMAGES, 3, PIXELS, PIXELS, dtype=torch.uint8, device="cpu")


def batch(moments=None):
    """As the application's `TrainingPairs` gives it: everything on the device."""
    found = {
        "key": torch.arange(IMAGES, device=DEVICE),
        "section": torch.zeros(IMAGES, dtype=torch.int64, device=DEVICE),
        "embedding": torch.zeros(IMAGES, DIM, device=DEVICE),
    }
    if moments:
        return found | {"moments": torch.zeros(IMAGES, *moments, dtype=torch.float16, device=DEVICE)}
    return found | {"patch": torch.zeros(IMAGES, 3, PIXELS, PIXELS, dtype=torch.uint8, device=DEVICE)}


@pytest.mark.parametrize("kind", ["pixels", "latents", "latents from patches", "stable-diffusion"])
def test_diffusion_trains_scores_and_draws_on_a_gpu_without_waiting_for_it(kind, monkeypatch):
    with fake_gpu(monkeypatch):
        if kind == "stable-diffusion":
            task = stable_diffusion(monkeypatch)
        else:
            task = pixels() if kind == "pixels" else latents()
        task.prepare(FakeAccelerator())
        given = batch(moments=(2, 8, 8, 8) if kind in ("latents", "stable-diffusion") else None)
        task.step(given, 0)  # the first one makes the optimiser's state, and moves a schedule's tables
        with Watch() as watch:
            losses = task.step(given, IMAGES)
        assert watch.waits == []
        assert {value.device.type for value in losses.values()} == {"cuda"}
        assert all(group["fused"] for group in task.updates.optimizer.param_groups)
        with numbers_may_be_read():
            assert set(task.evaluate([given])) == {"loss", "error", "error_null"}
            drawn = task.sample(torch.zeros(2, DIM, device=DEVICE), seed=0)
            assert drawn.shape == (2, PIXELS, PIXELS, 3)
            assert task.pipeline().draw(torch.zeros(2, DIM), torch.arange(2), guidance=(1.0, 3.0)).shape[0] == 2


def test_autoencoder_trains_and_scores_on_a_gpu_without_waiting_for_it(monkeypatch):
    chosen = dataclasses.replace(
        AUTOENCODER_PRESETS["tiny"], channels=(8, 16), norm_groups=4, resolution=PIXELS, batch_size=IMAGES
    )
    with fake_gpu(monkeypatch):
        task = AutoencoderTask.build(chosen)
        task.prepare(FakeAccelerator())
        task.step(batch(), 0)
        with Watch() as watch:
            task.step(batch(), IMAGES)
        assert watch.waits == []
        with numbers_may_be_read():
            assert set(task.evaluate([batch()])) == {"mse", "psnr_db", "mae_grey_levels"}


def test_a_mix_of_devices_is_noticed(monkeypatch):
    with fake_gpu(monkeypatch):
        task = pixels()
        task.prepare(FakeAccelerator())
        given = {**batch(), "embedding": torch.zeros(IMAGES, DIM)}
        with pytest.raises(RuntimeError, match="device"):
            task.step(given, 0)


def test_a_denoiser_that_cannot_be_compiled_runs_as_ever(monkeypatch):
    def fail(*_, **__):
        raise OSError("no compiler")

    monkeypatch.setattr("torch._dynamo.backends.inductor.inductor", fail)
    plain, compiled = (pixels_on_the_cpu(compile=choice) for choice in (False, True))
    given = {name: value.cpu() for name, value in real_batch().items()}
    assert float(plain.step(given, 0)["loss"]) == pytest.approx(float(compiled.step(given, 0)["loss"]), rel=1e-6)
    assert isinstance(compiled.denoiser, Denoiser)
    assert list(plain.denoiser.state_dict()) == list(compiled.denoiser.state_dict())


class Plain:
    """An accelerator of nothing."""

    device = torch.device("cpu")

    def prepare(self, *objects):
        return objects

    def backward(self, loss):
        loss.backward()


def pixels_on_the_cpu(**denoiser):
    chosen = settings("tiny", channels=(16, 32), norm_groups=8, **denoiser)
    task = DiffusionTask.build(chosen, DIM, torch.zeros(DIM), patches(), seed=0)
    task.prepare(Plain())
    return task


def real_batch():
    return {
        "key": torch.arange(IMAGES),
        "embedding": torch.zeros(IMAGES, DIM),
        "patch": torch.zeros(IMAGES, 3, PIXELS, PIXELS, dtype=torch.uint8),
    }
