"""Every task takes a step, a score and a drawing on a GPU that is not there, with batches as `TrainingPairs` gives."""

import contextlib
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from absent_gpu import GPU, Accelerator, Watch, absent_gpu, numbers_may_be_read
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from g2m_cli.pairs import TrainingPairs
from g2m_diffusion import AUTOENCODER_PRESETS, AutoencoderTask, DiffusionTask
from g2m_diffusion import PRESETS as DIFFUSION
from g2m_encoders import PRESETS as ENCODERS
from g2m_encoders import ContrastiveModel, ContrastiveTask, MultilevelFeatures
from g2m_gan import PRESETS as GANS
from g2m_gan import GanTask

PAIRS, DIM, GENES, PIXELS = 16, 8, 12, 32
VAE = {
    "block_out_channels": (8, 16), "latent_channels": 4, "norm_num_groups": 4, "sample_size": PIXELS,
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
}  # fmt: skip
SD_SHAPED = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
    "cross_attention_dim": 16, "attention_head_dim": 2, "norm_num_groups": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip


class Dataset:
    """Two sections of grey tissue."""

    manifest: dict = {"patch": {"pixels": PIXELS}}  # noqa: RUF012
    genes = tuple(f"Gene{number}" for number in range(GENES))
    corners = np.zeros((PAIRS, 2), np.int64)
    obs = pd.DataFrame({"sample": pd.Categorical(["a"] * (PAIRS // 2) + ["b"] * (PAIRS // 2))})

    def __len__(self):
        return PAIRS

    def expression(self, rows):
        return np.ones((len(rows), GENES), np.float32)

    def patches(self, rows):
        return np.full((len(rows), PIXELS, PIXELS, 3), 128, np.uint8)

    def slide(self, sample):
        return np.full((2 * PIXELS, 2 * PIXELS, 3), 128, np.uint8)


@pytest.fixture
def batch(monkeypatch):
    """A batch on the device, made inside of `absent_gpu`."""

    def make(moments=None, *, resident=True, **columns):
        monkeypatch.setattr("g2m_cli.pairs.fits_on", lambda *_: resident)
        pairs = TrainingPairs(Dataset(), GPU, **columns)
        if moments:
            pairs.moments = np.zeros((PAIRS, *moments), np.float16)
        return pairs.batch(np.arange(PAIRS), np.arange(PAIRS) + 7)

    return make


def exercise(task, given, draws=True):
    """One step, one score, one drawing; a second step must not make the host wait."""
    task.prepare(Accelerator())
    task.step(given, 0)  # makes the optimiser's state
    with Watch() as watch:
        losses = task.step(given, PAIRS)
    assert watch.waits == []
    assert {value.device.type for value in losses.values()} == {"cuda"}
    # pairs are compared within their section, whose number is not there to be read
    held_out = {name: values for name, values in given.items() if name != "section"}
    with numbers_may_be_read():
        assert task.evaluate([held_out])
        if draws:
            drawn = task.sample(torch.zeros(2, DIM, device=GPU), seed=0)
            assert (drawn.shape[0], drawn.shape[3], drawn.dtype) == (2, 3, torch.uint8)


def conditions():
    return np.zeros((PAIRS, DIM), np.float32)


def diffusion(row, autoencoder="", **denoiser):
    preset = DIFFUSION[row]
    views = "flips" if autoencoder else "dihedral"
    codes = dataclasses.replace(preset.codes, resolution=PIXELS, autoencoder=autoencoder, views=views)
    return dataclasses.replace(
        preset,
        codes=codes,
        denoiser=dataclasses.replace(preset.denoiser, **denoiser),
        sampling=dataclasses.replace(preset.sampling, steps=2),
        total_images=64,
        batch_size=PAIRS,
        micro_batch=PAIRS // 2,
    )


def encoders(row, **image):
    preset = ENCODERS[row]
    chosen = dataclasses.replace(
        preset,
        expression=dataclasses.replace(preset.expression, hidden=16, features=8),
        image=dataclasses.replace(preset.image, pretrained=False, input_size=PIXELS, **image),
        embedding_dim=DIM,
        batch_size=PAIRS,
    )
    with numbers_may_be_read():  # timm computes rates of dropped paths
        return ContrastiveModel.build(chosen, Dataset.genes)


@pytest.mark.parametrize(
    ("row", "image"), [("tiny", {}), ("base", {"backbone": "test_convnext"}), ("paper", {"backbone": "test_vit"})]
)
def test_encoders(row, image, batch):
    with absent_gpu():
        task = ContrastiveTask((model := encoders(row, **image)).settings, model)
        exercise(task, given := batch(expression=True, resident=row == "tiny"), draws=False)
        task.step({**given, "key": torch.arange(PAIRS)}, 0)  # keys may come from the host too
        with numbers_may_be_read():
            embeddings = model.embed_expression(torch.zeros(3, GENES, device=GPU))
        assert embeddings.device == GPU


def gan(row, **changes):
    preset = GANS[row]
    return dataclasses.replace(
        preset,
        generator=dataclasses.replace(preset.generator, channel_base=256, channel_max=16, norm_groups=4),
        discriminator=dataclasses.replace(preset.discriminator, feature_px=0, levels=()),
        stages=tuple(dataclasses.replace(stage, resolution=16 << index) for index, stage in enumerate(preset.stages)),
        batch_size=PAIRS,
        micro_batch=8,
        **changes,
    )


@pytest.mark.parametrize(
    ("row", "backbone"),
    [("tiny", "test_resnet"), ("paper", "test_vit"), pytest.param("paper-code", "test_vit", marks=pytest.mark.slow)],
)
def test_gan_in_all_its_stages(row, backbone, batch):
    with absent_gpu():
        encoder = encoders("tiny", backbone=backbone)
        encoder.to(GPU)
        network = MultilevelFeatures(encoder.image.backbone, input_size=PIXELS)
        chosen = gan(row)
        task = GanTask.build(chosen, DIM, network, encoder.embed_image)
        exercise(task, batch(embedding=conditions()))
        for _ in chosen.stages[1:]:
            task = GanTask.from_previous(task)
            exercise(task, batch(embedding=conditions()))


@pytest.mark.parametrize("kind", ["pixels", "latents", "stable diffusion"])
def test_diffusion(kind, batch, monkeypatch):
    grey = torch.full((4, 3, PIXELS, PIXELS), 128, dtype=torch.uint8)
    with absent_gpu():
        autoencoder = None if kind == "pixels" else AutoencoderKL(**VAE)
        if kind == "stable diffusion":
            unet = UNet2DConditionModel(**SD_SHAPED)
            monkeypatch.setattr("g2m_diffusion.denoiser.load_unet", lambda *_: unet)
            # a step of its sampler looks up the time in a table on the host, which holds no numbers here
            monkeypatch.setattr(DDIMScheduler, "step", lambda _, answer, time, codes, return_dict: (codes - answer,))
            chosen = diffusion("paper", "CompVis/stable-diffusion-v1-4")
        else:
            chosen = diffusion("tiny", "" if kind == "pixels" else "study", channels=(16, 32), norm_groups=8)
        with numbers_may_be_read() if kind == "pixels" else contextlib.nullcontext():  # of the patches' colours
            task = DiffusionTask.build(chosen, DIM, torch.zeros(DIM), grey, autoencoder)
        moments = None if kind == "pixels" else (2, 8, PIXELS // 2, PIXELS // 2)
        exercise(task, batch(moments, embedding=conditions()))
        if autoencoder is not None:
            exercise(task, batch(embedding=conditions()))  # patches of validation pairs, and of `g2m eval`
        with numbers_may_be_read():
            drawn = task.pipeline().draw(torch.zeros(2, DIM), torch.arange(2), guidance=(1.0, 3.0))
        assert drawn.shape == (2, 2, PIXELS, PIXELS, 3)


def test_autoencoder(batch):
    chosen = dataclasses.replace(
        AUTOENCODER_PRESETS["tiny"], channels=(8, 16), norm_groups=4, resolution=PIXELS, batch_size=PAIRS
    )
    with absent_gpu():
        exercise(AutoencoderTask.build(chosen), batch(), draws=False)
