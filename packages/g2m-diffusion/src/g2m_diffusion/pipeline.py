"""A diffusers pipeline from expression embeddings to histology patches."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from g2m_diffusion.codes import Codec, LatentCodec, PixelCodec, constants
from g2m_diffusion.condition import ExpressionCondition
from g2m_diffusion.errors import InputError
from g2m_diffusion.noise import Stream, draw_normal
from g2m_diffusion.views import to_uint8

Strengths = Sequence[float | int]  # a whole number is a strength too
Generators = torch.Generator | list[torch.Generator] | None


@dataclass
class ExpressionDiffusionOutput(BaseOutput):  # type: ignore[misc]
    """What a pipeline drew.

    Attributes
    ----------
    images
        One for each embedding: PIL images, or an array. With several guidance strengths a list, or an axis, of those.
    """

    images: Any


class ExpressionDiffusionPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Draws patches of tissue from expression embeddings (paper, Method, Phase 2).

    Parameters
    ----------
    unet, condition
        The denoiser, and what tells it the expression.
    scheduler
        Any of diffusers' that knows the model's prediction type: `pipeline.scheduler = UniPCMultistepScheduler...`.
    vae
        Autoencoder of a model that works on latents; None for pixels.
    resolution
        Width of the images in pixels.
    encode_px
        Width at which the autoencoder works; 0: `resolution`.
    pixel_block, pixel_mean, pixel_deviation
        How pixels become codes; see `PixelCodec`.
    steps
        Evaluations of the denoiser unless asked otherwise.
    """

    model_cpu_offload_seq = "condition->unet->vae"
    _optional_components: ClassVar = ["vae"]

    def __init__(
        self,
        unet: UNet2DConditionModel,
        condition: ExpressionCondition,
        scheduler: Any,
        vae: AutoencoderKL | None = None,
        resolution: int = 64,
        encode_px: int = 0,
        pixel_block: int = 1,
        pixel_mean: list[float] | None = None,
        pixel_deviation: float = 1.0,
        steps: int = 25,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, condition=condition, scheduler=scheduler, vae=vae)
        self.register_to_config(
            resolution=resolution,
            encode_px=encode_px,
            pixel_block=pixel_block,
            pixel_mean=[0.0, 0.0, 0.0] if pixel_mean is None else list(pixel_mean),
            pixel_deviation=pixel_deviation,
            steps=steps,
        )

    @property
    def resolution(self) -> int:
        """Width of the images in pixels."""
        return int(self.config.resolution)

    @property
    def condition_dim(self) -> int:
        """Length of an expression embedding."""
        return len(self.condition.null_embedding)

    @property
    def codec(self) -> Codec:
        """From images to what is denoised, and back."""
        if self.vae is not None:
            return LatentCodec(autoencoder=self.vae, resolution=self.resolution, encode_px=self.config.encode_px)
        return PixelCodec(
            resolution=self.resolution,
            block=self.config.pixel_block,
            mean=tuple(self.config.pixel_mean),
            deviation=self.config.pixel_deviation,
        )

    @torch.no_grad()
    def __call__(
        self,
        expression_embeddings: Float[Tensor, "n dim"] | NDArray[np.floating[Any]],
        num_inference_steps: int | None = None,
        guidance_scale: float | int | Strengths = 1.0,
        generator: Generators = None,
        output_type: str = "pil",
    ) -> ExpressionDiffusionOutput:
        """Draw an image for each embedding.

        Parameters
        ----------
        expression_embeddings
            Of the encoder the model was trained with.
        num_inference_steps
            Evaluations of the denoiser; the model's own number by default.
        guidance_scale
            Strength w of classifier-free guidance as Saharia et al. (2022) define it, unconditional + w (conditional -
            unconditional): 1 is none. A sequence draws with each, from the same noise.
        generator
            One, or one for each embedding, which then draws the same in any batch.
        output_type
            "pil", "np" (float in [0, 1], n, h, w, 3), "uint8" (the same as integers) or "pt" (float, n, 3, h, w).

        Raises
        ------
        InputError
            Embeddings have another length, or a number or `output_type` makes no sense.
        """
        if output_type not in ("pil", "np", "uint8", "pt"):
            raise InputError(f"output_type {output_type!r}: expected pil, np, uint8 or pt")
        embeddings = self._check_embeddings(expression_embeddings)
        several = isinstance(guidance_scale, Sequence)
        strengths = tuple(guidance_scale) if isinstance(guidance_scale, Sequence) else (float(guidance_scale),)
        shape = (len(embeddings), *self.codec.shape)
        start = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=self.unet.dtype)
        images = self._denoise(embeddings, start, strengths, num_inference_steps, generator)
        drawn = _as_type(images, output_type)
        return ExpressionDiffusionOutput(images=drawn if several else drawn[0])

    @torch.no_grad()
    def draw(
        self,
        conditions: Float[Tensor, "n dim"] | NDArray[np.floating[Any]],
        keys: Int[Tensor, " key"] | NDArray[np.integer[Any]],
        guidance: Strengths = (1.0,),
        steps: int | None = None,
        *,
        batch_size: int = 32,
    ) -> UInt8[Tensor, "strength n height width 3"]:
        """Draw an image for each condition, key and guidance strength.

        Parameters
        ----------
        keys
            The noise: the same key gives the same noise whatever the batch and the strength.
        batch_size
            Conditions at once.

        Returns
        -------
        On the CPU.

        Raises
        ------
        InputError
            Lengths do not match each other or the model.
        """
        embeddings = self._check_embeddings(conditions)
        keys = torch.as_tensor(keys, dtype=torch.int64)
        if len(keys) != len(embeddings):
            raise InputError(f"{len(embeddings)} conditions but {len(keys)} keys: give one key each")
        shape = self.codec.shape
        drawn = torch.empty(len(guidance), len(keys), self.resolution, self.resolution, 3, dtype=torch.uint8)
        bar = dict(getattr(self, "_progress_bar_config", {}))
        self.set_progress_bar_config(disable=True)
        try:
            for first in range(0, len(keys), batch_size):
                part = slice(first, first + batch_size)
                here = keys[part].to(self._execution_device)
                start = draw_normal(here, Stream.START, int(np.prod(shape))).reshape(len(here), *shape)
                own = [torch.Generator(self._execution_device).manual_seed(key) for key in keys[part].tolist()]
                images = self._denoise(embeddings[part], start.to(self.unet.dtype), tuple(guidance), steps, own)
                drawn[:, part] = _channels_last(images).cpu()
        finally:
            self.set_progress_bar_config(**bar)
        return drawn

    def _denoise(
        self,
        embeddings: Float[Tensor, "n dim"],
        start: Float[Tensor, "n c h w"],
        strengths: tuple[float | int, ...],
        steps: int | None,
        generator: Generators,
    ) -> Float[Tensor, "strength n 3 height width"]:
        """Go from noise to images, with every strength from the same noise."""
        if not strengths or min(strengths) < 0:
            raise InputError(f"guidance {strengths}: expected one or more numbers >= 0 (1 is no guidance)")
        steps = self.config.steps if steps is None else steps
        if steps < 1:
            raise InputError(f"steps {steps}: expected at least 1")
        count, several = len(embeddings), len(strengths)
        if several > 1 and isinstance(generator, torch.Generator):
            # a sampler that adds noise must add the same to all: one after the other, from the same state
            states = [*(copied(generator) for _ in strengths[1:]), generator]
            each = [
                self._denoise(embeddings, start, (w,), steps, state) for w, state in zip(strengths, states, strict=True)
            ]
            return torch.cat(each)
        times = self._timesteps(steps)  # first: the scheduler's initial deviation depends on them
        codes = start.repeat(several, 1, 1, 1) * getattr(self.scheduler, "init_noise_sigma", 1.0)
        embeddings = embeddings.to(codes).repeat(several, 1)
        # What needs the unconditional answer, and how strongly: known here, so that no step waits for the device
        guided = [index for index, strength in enumerate(strengths) if strength != 1]
        ranges = [torch.arange(index * count, (index + 1) * count, device=codes.device) for index in guided]
        rows = torch.cat([codes.new_empty(0, dtype=torch.int64), *ranges])
        weight = constants([strengths[index] for index in guided], codes).repeat_interleave(count)
        # and here a copy for every strength
        noises = [copied(own) for _ in strengths for own in generator] if isinstance(generator, list) else generator
        options = {"generator": noises} if "generator" in inspect.signature(self.scheduler.step).parameters else {}
        for time in self.progress_bar(times):
            seen = codes
            if hasattr(self.scheduler, "scale_model_input"):
                seen = self.scheduler.scale_model_input(codes, time)
            answer = self._guided(seen, float(time), embeddings, rows, weight[:, None, None, None])
            codes = self.scheduler.step(answer, time, codes, **options, return_dict=False)[0]
        codes = codes.reshape(several, count, *codes.shape[1:]).float()
        return torch.stack([self.codec.decode(part) for part in codes])

    def _guided(
        self,
        codes: Float[Tensor, "n c h w"],
        time: float,
        embeddings: Float[Tensor, "n dim"],
        guided: Int[Tensor, " m"],
        weight: Float[Tensor, "m 1 1 1"],
    ) -> Float[Tensor, "n c h w"]:
        """Classifier-free guidance in Imagen's form, of the rows `guided`; others are not evaluated twice."""
        nothing = self.condition.null_embedding.to(embeddings).expand(len(guided), -1)
        tokens, vector = self.condition(torch.cat([embeddings, nothing]))
        both = torch.cat([codes, codes[guided]])
        times = both.new_full((len(both),), time, dtype=torch.float32)
        answer: Tensor = self.unet(both, times, encoder_hidden_states=tokens, class_labels=vector).sample
        answer = answer.to(codes.dtype)  # under autocast it is of half precision
        conditional, unconditional = answer[: len(codes)], answer[len(codes) :]
        if len(unconditional):
            conditional = conditional.clone()
            conditional[guided] = unconditional + weight * (conditional[guided] - unconditional)
        return conditional

    def _timesteps(self, steps: int) -> Tensor:
        """Set the scheduler's times; they stay on the CPU, where its arithmetic with them waits for no device."""
        if isinstance(self.scheduler, FlowMatchEulerDiscreteScheduler):
            # equal steps that end at 0; its default would spend one step on the last thousandth
            self.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps).tolist())
        else:
            self.scheduler.set_timesteps(steps)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(0)  # or it would look for the first time among all of them
        times: Tensor = self.scheduler.timesteps
        return times

    def _check_embeddings(self, embeddings: Tensor | NDArray[np.floating[Any]]) -> Float[Tensor, "n dim"]:
        given = torch.as_tensor(embeddings, dtype=torch.float32)
        if given.ndim != 2 or given.shape[1] != self.condition_dim:
            raise InputError(
                f"expression embeddings have shape {tuple(given.shape)}: this model expects (n, {self.condition_dim})"
            )
        return given.to(self._execution_device)


def copied(generator: torch.Generator) -> torch.Generator:
    """Another generator in the same state."""
    twin = torch.Generator(generator.device)
    twin.set_state(generator.get_state())
    return twin


def _as_type(images: Float[Tensor, "strength n 3 height width"], output_type: str) -> Any:
    """Images in about [-1, 1] as what was asked for."""
    if output_type == "pt":
        return ((images + 1) / 2).clamp(0, 1).cpu()
    whole = _channels_last(images).cpu().numpy()
    if output_type == "pil":
        return [[Image.fromarray(image) for image in row] for row in whole]
    return whole if output_type == "uint8" else whole.astype(np.float32) / 255


def _channels_last(
    images: Float[Tensor, "strength n 3 height width"],
) -> UInt8[Tensor, "strength n height width 3"]:
    return to_uint8(images.flatten(0, 1)).reshape(images.shape).permute(0, 1, 3, 4, 2)
