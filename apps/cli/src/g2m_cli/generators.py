"""Any exported generator, opened by what lies in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from g2m_cli.device import NONE, autocast, compute_device
from g2m_cli.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from g2m_cli.generation import Request


GAN, DIFFUSION = "gan", "diffusion"


class Generator(Protocol):
    """Draws images from conditions; the same key draws from the same noise."""

    condition_dim: int
    resolution: int

    def check(self, request: Request) -> None:
        """Refuse what this kind of model cannot do."""

    def draw(self, conditions: NDArray[np.float32], keys: NDArray[np.int64], request: Request) -> NDArray[np.uint8]:
        """Draw one image for each condition and key: (n, height, width, 3)."""

    def trace(self, conditions: Tensor, keys: Tensor) -> Tensor:
        """Draw all at once with a gradient to the conditions: (n, 3, height, width), nominally in [-1, 1]."""


def open_generator(folder: Path, precision: str = NONE) -> Generator:
    """Open a model that `g2m gan train` or `g2m diffusion train` exported, on the GPU if there is one.

    Parameters
    ----------
    folder
        The model's.
    precision
        In which ``draw`` computes: ``no``, ``bf16`` or ``fp16``; ``trace`` stays in float32.

    Raises
    ------
    InputError
        If the folder holds none, or a damaged one.
    """
    return (DiffusionGenerator if kind_of(folder) == DIFFUSION else GanGenerator)(folder, precision)


def kind_of(folder: Path) -> str:
    """Tell ``gan`` from ``diffusion`` by what lies in a model's folder.

    Raises
    ------
    InputError
        If it holds neither.
    """
    if (folder / "model_index.json").is_file():
        return DIFFUSION
    if _is_stylegan(folder / "config.json"):
        return GAN
    raise InputError(
        f"{folder}: no generator here; expected RUN/model of `g2m gan train` or `g2m diffusion train`, "
        "with config.json or model_index.json"
    )


class GanGenerator:
    """StyleGAN-G."""

    def __init__(self, folder: Path, precision: str = NONE) -> None:
        from g2m_gan import StyleGanG

        self.folder, self.precision = folder, precision
        self.model = StyleGanG.from_pretrained(folder).to(compute_device()).eval()
        self.condition_dim, self.resolution = int(self.model.generator.condition_dim), int(self.model.resolution)

    def check(self, request: Request) -> None:
        """Refuse guidance and steps."""
        if request.guidance != 1 or request.steps is not None:
            raise InputError(f"{self.folder}: StyleGAN-G knows no guidance and no steps; leave them out")

    def draw(self, conditions: NDArray[np.float32], keys: NDArray[np.int64], request: Request) -> NDArray[np.uint8]:
        """Draw one image for each condition and key: (n, height, width, 3)."""
        import torch

        with autocast(self.precision):
            drawn = self.model.generate(
                torch.from_numpy(conditions), torch.from_numpy(keys), truncation=request.truncation
            )
        return np.asarray(drawn.permute(0, 2, 3, 1).numpy())

    def trace(self, conditions: Tensor, keys: Tensor) -> Tensor:
        """Draw all at once with a gradient to the conditions: (n, 3, height, width), nominally in [-1, 1]."""
        return self.model.draw(conditions, keys)


class DiffusionGenerator:
    """A diffusion or flow model."""

    def __init__(self, folder: Path, precision: str = NONE) -> None:
        from diffusers.utils.logging import disable_progress_bar

        from g2m_diffusion import ExpressionDiffusionPipeline

        disable_progress_bar()  # of three small files
        try:
            pipeline: Any = ExpressionDiffusionPipeline.from_pretrained(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:  # what diffusers says of a damaged folder
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder}: not a readable diffusion pipeline ({reason}); export it again") from None
        self.folder, self.precision, self.pipeline = folder, precision, pipeline.to(compute_device())
        self.condition_dim, self.resolution = int(pipeline.condition_dim), int(pipeline.resolution)

    def check(self, request: Request) -> None:
        """Refuse truncation."""
        if request.truncation != 1:
            raise InputError(f"{self.folder}: a diffusion model knows no truncation; leave it out")

    def draw(self, conditions: NDArray[np.float32], keys: NDArray[np.int64], request: Request) -> NDArray[np.uint8]:
        """Draw one image for each condition and key: (n, height, width, 3)."""
        import torch

        with autocast(self.precision):
            drawn = self.pipeline.draw(
                torch.from_numpy(conditions),
                torch.from_numpy(keys),
                guidance=(request.guidance,),
                steps=request.steps,
                batch_size=len(keys),
            )
        return np.asarray(drawn[0].numpy())

    def trace(self, conditions: Tensor, keys: Tensor) -> Tensor:
        """Refuse: a gradient through every step of denoising would need all of them in memory."""
        raise InputError(f"{self.folder}: a diffusion model is not differentiated here; take a StyleGAN-G, --model gan")


def _is_stylegan(config: Path) -> bool:
    try:
        return str(json.loads(config.read_text()).get("format", "")).startswith("g2m-gan/")
    except (OSError, ValueError, AttributeError):
        return False
