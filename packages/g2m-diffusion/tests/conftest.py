"""Shape checks for the whole package."""

from jaxtyping import install_import_hook

install_import_hook("g2m_diffusion", "beartype.beartype")

import contextlib  # noqa: E402
import dataclasses  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: E402

from g2m_diffusion.config import (  # noqa: E402
    CodeSettings,
    ConditionSettings,
    DenoiserSettings,
    DiffusionSettings,
    EmaSettings,
    OptimizerSettings,
    SamplingSettings,
)

CONDITION_DIM = 12

MICRO = DiffusionSettings(
    codes=CodeSettings(resolution=16, pixel_block=2),
    denoiser=DenoiserSettings(channels=(16, 32), layers=1, attention_levels=1, head_dim=8, norm_groups=8, token_dim=16),
    condition=ConditionSettings(tokens=2, dropout=0.25),
    optimizer=OptimizerSettings(lr=1e-3, warmup_images=64),
    ema=EmaSettings(half_life_images=200.0, ramp_up=0.5),
    sampling=SamplingSettings(steps=4),
    total_images=320,
    batch_size=16,
    micro_batch=16,
)

# Stable Diffusion in miniature: the same kinds of blocks, a length of token that embeddings of 12 must be padded to
SMALL_UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 20,
    "attention_head_dim": 2,
    "norm_num_groups": 8,
}
SMALL_VAE = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 16,
}


def make_batch(first, n=16, patch_px=16):
    """Samples `first` to `first + n` of an endless made-up dataset."""
    patches, embeddings = [], []
    for index in range(first, first + n):
        source = torch.Generator().manual_seed(index)
        patches.append(torch.randint(0, 256, (3, patch_px, patch_px), generator=source, dtype=torch.uint8))
        embeddings.append(torch.nn.functional.normalize(torch.randn(CONDITION_DIM, generator=source), dim=0))
    return {"key": torch.arange(first, first + n), "patch": torch.stack(patches), "embedding": torch.stack(embeddings)}


def make_null():
    return torch.nn.functional.normalize(torch.arange(1.0, CONDITION_DIM + 1), dim=0)


def write_stable_diffusion(folder, unet, vae):
    """Random weights in the layout of a Stable Diffusion pipeline, stored as float16 like many."""
    with torch.random.fork_rng():
        torch.manual_seed(21)
        UNet2DConditionModel(**unet).half().save_pretrained(folder / "unet")
        AutoencoderKL(**vae).half().save_pretrained(folder / "vae")
    DDIMScheduler().save_pretrained(folder / "scheduler")
    return str(folder)


def draw_network(module, seed=5):
    """Give every weight a value: fresh U-Nets start parts of themselves at zero."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=source))
    return module


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing is looked for beyond this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def micro():
    return MICRO


@pytest.fixture
def batch_from():
    return make_batch


@pytest.fixture
def null_embedding():
    return make_null()


@pytest.fixture
def randomised():
    return draw_network


@pytest.fixture
def small_autoencoder():
    with torch.random.fork_rng():
        torch.manual_seed(22)
        return AutoencoderKL(**SMALL_VAE).requires_grad_(False).eval()


@pytest.fixture
def stable_diffusion_writer():
    return write_stable_diffusion


@pytest.fixture
def small_stable_diffusion(tmp_path):
    """A folder with `unet` and `vae` like those of Stable Diffusion, but tiny."""
    return write_stable_diffusion(tmp_path / "small-sd", SMALL_UNET, SMALL_VAE)


@pytest.fixture
def changed():
    """`dataclasses.replace` with dotted names: changed(settings, {"condition.dropout": 0.0})."""

    def replace(settings, values):
        for name, value in values.items():
            section, _, field = name.partition(".")
            if field:
                value = dataclasses.replace(getattr(settings, section), **{field: value})
            settings = dataclasses.replace(settings, **{section: value})
        return settings

    return replace


class Gloo:
    """A stand-in for `accelerate.Accelerator` on two CPU processes."""

    device = torch.device("cpu")

    def prepare(self, *parts):
        wrap = torch.nn.parallel.DistributedDataParallel
        return tuple(wrap(part) if isinstance(part, torch.nn.Module) else part for part in parts)

    def backward(self, loss):
        loss.backward()

    def reduce(self, values, reduction):
        assert reduction == "mean"
        torch.distributed.all_reduce(values)
        return values / 2

    @contextlib.contextmanager
    def no_sync(self, module):
        with module.no_sync():
            yield


@pytest.fixture
def gloo():
    """Class of an accelerator over two processes, for them to make their own of."""
    return Gloo
