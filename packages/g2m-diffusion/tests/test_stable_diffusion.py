"""Stable Diffusion at its published size, with random weights: everything but the download."""

import gc
import resource

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from g2m_diffusion import PRESETS, DiffusionTask, ExpressionDiffusionPipeline, load_autoencoder

# unet/config.json and vae/config.json of CompVis/stable-diffusion-v1-4
UNET = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
VAE = {
    "sample_size": 512,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
}
UNET_PARAMETERS, VAE_PARAMETERS = 859_520_964, 83_653_863  # 859.5 M (Rombach et al. 2022) and 83.65 M
GIB = 2**30


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def test_shapes_are_the_published_ones():
    with torch.device("meta"):
        assert count(UNet2DConditionModel(**UNET)) == UNET_PARAMETERS
        assert count(AutoencoderKL(**VAE)) == VAE_PARAMETERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stable-diffusion")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "base"])
def test_stable_diffusion_takes_a_step_and_draws(folder, stable_diffusion_writer, changed, preset):
    if not (folder / "scheduler").exists():
        stable_diffusion_writer(folder, UNET, VAE)
        gc.collect()
    source = str(folder)
    values = {"codes.autoencoder": source, "denoiser.pretrained": source, "batch_size": 2, "micro_batch": 2}
    values |= {"optimizer.lr": 1e-2, "optimizer.warmup_images": 0}  # for one step by gradient descent to be seen
    if preset == "base":
        values |= {"codes.encode_px": 64}
    source_of_numbers = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(3, 512, generator=source_of_numbers), dim=1)
    patches = torch.randint(0, 256, (2, 3, 128, 128), generator=source_of_numbers, dtype=torch.uint8)

    task = DiffusionTask.build(changed(PRESETS[preset], values), 512, embeddings[2], patches, load_autoencoder(source))
    added = 0
    if preset == "base":
        tokens = 512 * 8 * 768 + 8 * 768 + 2 * 768  # a linear map and a normalisation
        vector = 512 * 512 + 512
        into_time = 512 * 1280 + 1280 + 1280 * 1280 + 1280  # as the time embedding has two layers
        added = tokens + vector + into_time
    assert count(task.denoiser) == UNET_PARAMETERS + added
    assert {weight.dtype for weight in task.denoiser.parameters()} == {torch.float32}
    # AdamW's two moments would be another 6.4 GiB
    task.updates.optimizer = torch.optim.SGD(task.denoiser.parameters())
    before = task.denoiser.unet.conv_in.weight.detach().clone()
    losses = task.step({"key": torch.arange(2), "embedding": embeddings[:2], "patch": patches}, 0)
    assert losses["loss"].isfinite()
    assert losses["gradient"] > 0
    assert not torch.equal(task.denoiser.unet.conv_in.weight, before)
    task.updates.optimizer.zero_grad()

    pipeline = task.pipeline()
    assert isinstance(pipeline, ExpressionDiffusionPipeline)
    images = pipeline.draw(embeddings[:2], torch.arange(2), (1.0, 3.0), steps=2)
    assert images.shape == (2, 2, 128, 128, 3)
    assert images.float().std() > 0
    assert not torch.equal(images[0], images[1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 14 * GIB
    del task, pipeline
    gc.collect()
