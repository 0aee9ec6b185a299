"""Training and drawing images a second on a GPU, against a plain diffusers loop: `[--small] [--steps 100]`.

Both train the same U-Net (Stable Diffusion 1.4's shape, random weights) in bf16 on the same patches at 128 px. The
plain loop is the one of diffusers' fine-tuning examples: a DataLoader decodes PNG files, the autoencoder encodes each
batch, and 77 identical tokens are attended to. Ours reads latents that were computed once. `--small` tries the script
without a GPU, with networks so small that its ratio says nothing; it has no bound then.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benches._figure import Figure

CONDITION_DIM, PATCHES, PIXELS = 512, 2048, 128
WARM_UP_STEPS, TIMES_PLAIN = 10, 1.5
UNET = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8,
}  # fmt: skip
AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4, "norm_num_groups": 32,
    "sample_size": 512, "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
SMALL = {"block_out_channels": (32, 32, 64, 64)}


def measure(arguments: list[str]) -> list[Figure]:
    import torch

    parser = ArgumentParser(prog="ci/bench diffusion_speed")
    parser.add_argument("--small", action="store_true", help="try the script on small networks, without a GPU")
    parser.add_argument("--steps", type=int, default=100, help="updates that are timed")
    parser.add_argument("--batch", type=int, default=32)
    chosen = parser.parse_args(arguments)
    if not (chosen.small or torch.cuda.is_available()):
        sys.exit("ci/bench diffusion_speed: no GPU here; add --small to try the script on a CPU")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "stable-diffusion"
        write_pipeline(source, SMALL if chosen.small else {})
        patches, embeddings = make_pairs(Path(folder) / "png")
        ours, drawn = train_ours(source, patches, embeddings, chosen, Path(folder))
        plain = train_plain(source, Path(folder) / "png", embeddings, chosen)
    return [
        Figure("plain diffusers loop", plain, "img/s"),
        Figure("g2m diffusion, latents cached", ours, "img/s"),
        Figure("ratio", ours / plain, at_least=None if chosen.small else TIMES_PLAIN),
        Figure("drawing, 25 steps, w = 3", drawn, "img/s"),
    ]


def write_pipeline(folder: Path, smaller: dict[str, Any]) -> None:
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(0)
    UNet2DConditionModel(**UNET | smaller).save_pretrained(folder / "unet")
    AutoencoderKL(**AUTOENCODER | smaller).save_pretrained(folder / "vae")


def make_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Noise as patches: their content does not change the cost of anything but PNG decoding, which it makes dearer."""
    from PIL import Image

    rng = np.random.default_rng(0)
    # blocks of 8 px, so that a file has about the size of tissue's
    blocks = rng.integers(0, 256, (PATCHES, PIXELS // 8, PIXELS // 8, 3), np.uint8)
    patches = blocks.repeat(8, axis=1).repeat(8, axis=2)
    folder.mkdir()
    for number, patch in enumerate(patches):
        Image.fromarray(patch).save(folder / f"{number:05d}.png")
    embeddings = rng.standard_normal((PATCHES, CONDITION_DIM)).astype(np.float32)
    return patches, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def train_ours(
    source: Path, patches: np.ndarray, embeddings: np.ndarray, chosen: Any, folder: Path
) -> tuple[float, float]:
    """Images a second in training and in drawing, by the library's own task."""
    import torch
    from accelerate import Accelerator

    from g2m_diffusion import PRESETS, DiffusionTask, load_autoencoder, write_moments

    accelerator = Accelerator(mixed_precision="bf16")
    paper = PRESETS["paper"]
    settings = dataclasses.replace(
        paper,
        codes=dataclasses.replace(paper.codes, autoencoder=str(source)),
        denoiser=dataclasses.replace(paper.denoiser, pretrained=str(source), gradient_checkpointing=False),
        batch_size=chosen.batch,
        micro_batch=chosen.batch,
    )
    autoencoder = load_autoencoder(source).to(accelerator.device)
    images = torch.from_numpy(patches).permute(0, 3, 1, 2)
    write_moments(
        autoencoder, lambda rows: images[torch.from_numpy(rows)], PATCHES, folder / "moments.npy", resolution=PIXELS
    )
    moments = np.load(folder / "moments.npy", mmap_mode="r")
    given = torch.from_numpy(embeddings).to(accelerator.device)
    task = DiffusionTask.build(settings, CONDITION_DIM, given[0].cpu(), images[:100], autoencoder)
    task.prepare(accelerator)

    def step(number: int, rows: np.ndarray) -> None:
        batch = {
            "key": torch.arange(number * chosen.batch, (number + 1) * chosen.batch),
            "moments": torch.from_numpy(moments[rows]).to(accelerator.device),
            "embedding": given[torch.from_numpy(rows)],
        }
        task.step(batch, number * chosen.batch)

    rate = timed(step, chosen)
    pipeline = task.pipeline()
    began = time.monotonic()
    with torch.autocast(accelerator.device.type, torch.bfloat16):
        pipeline.draw(embeddings[:64], np.arange(64), guidance=(3.0,), steps=25, batch_size=64)
    return rate, 64 / (time.monotonic() - began)


def train_plain(source: Path, folder: Path, embeddings: np.ndarray, chosen: Any) -> float:
    """Images a second of the loop in diffusers' fine-tuning examples, with the paper's condition."""
    import torch
    from accelerate import Accelerator
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.training_utils import EMAModel
    from torch.nn import functional

    accelerator = Accelerator(mixed_precision="bf16")
    unet = UNet2DConditionModel.from_pretrained(source, subfolder="unet").train()
    autoencoder = AutoencoderKL.from_pretrained(source, subfolder="vae").requires_grad_(False)
    autoencoder.to(accelerator.device, torch.bfloat16)
    noises, average = DDPMScheduler(beta_schedule="scaled_linear"), EMAModel(unet.parameters(), decay=0.9999)
    average.to(accelerator.device)
    loader = torch.utils.data.DataLoader(
        Files(folder, embeddings), chosen.batch, shuffle=True, num_workers=4, drop_last=True, persistent_workers=True
    )
    optimizer = torch.optim.AdamW(unet.parameters(), 1e-5)
    unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    endless = batches()

    def step(_: int, __: np.ndarray) -> None:
        images, given = next(endless)
        latents = autoencoder.encode(images.to(torch.bfloat16)).latent_dist.sample().float() * 0.18215
        noise = torch.randn_like(latents)
        times = torch.randint(0, 1000, (len(latents),), device=latents.device)
        tokens = functional.pad(given, (0, 768 - CONDITION_DIM), value=1.0)[:, None].expand(-1, 77, -1)
        with accelerator.autocast():
            answer = unet(noises.add_noise(latents, noise, times), times, encoder_hidden_states=tokens).sample
        accelerator.backward(functional.mse_loss(answer.float(), noise))
        accelerator.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(unet.parameters())

    return timed(step, chosen)


class Files:
    """PNG patches with their embeddings, for a DataLoader."""

    def __init__(self, folder: Path, embeddings: np.ndarray) -> None:
        self.files, self.embeddings = sorted(folder.iterdir()), embeddings

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        import torch
        from PIL import Image

        image = torch.from_numpy(np.array(Image.open(self.files[index]))).permute(2, 0, 1).float() / 127.5 - 1
        return (image.flip(2) if torch.rand(()) < 0.5 else image), self.embeddings[index]


def timed(step: Callable[[int, np.ndarray], None], chosen: Any) -> float:
    """Images a second of some steps, after a few that are not counted."""
    import torch

    rng = np.random.default_rng(1)
    warm_up = min(WARM_UP_STEPS, chosen.steps)
    for number in range(warm_up + chosen.steps):
        if number == warm_up:
            synchronise(torch)
            began = time.monotonic()
        step(number, np.sort(rng.permutation(PATCHES)[: chosen.batch]))
    synchronise(torch)
    return chosen.steps * chosen.batch / (time.monotonic() - began)


def synchronise(torch: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
