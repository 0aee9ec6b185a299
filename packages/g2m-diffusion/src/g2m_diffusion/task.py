"""Training a diffusion model: the protocol of docs/architecture.md, without its loop."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from g2m_diffusion.codes import Codec, LatentCodec, PixelCodec
from g2m_diffusion.compiling import compile_or_not
from g2m_diffusion.config import DiffusionSettings
from g2m_diffusion.denoiser import Denoiser
from g2m_diffusion.ema import AveragedModule, ema_decay
from g2m_diffusion.errors import InputError
from g2m_diffusion.export import save_pipeline
from g2m_diffusion.moments import sample_moments
from g2m_diffusion.noise import Stream, draw_uniform
from g2m_diffusion.objective import Objective, weighted_error
from g2m_diffusion.pipeline import ExpressionDiffusionPipeline
from g2m_diffusion.schedule import learning_rate
from g2m_diffusion.updates import Accelerator, Updates
from g2m_diffusion.views import choose_view, read_patches, turn

Losses = dict[str, Tensor]
Question = tuple[Tensor, Tensor, Tensor, Tensor]  # noisy codes, their times, targets, weights


class DiffusionTask:
    """A denoiser, its average and its optimiser.

    Everything drawn depends on the samples' keys, every schedule on `images_seen`, the loss is a mean over the global
    batch: so neither the number of processes nor `micro_batch` changes what is learned, and a run resumed from its
    modules', optimiser's and this task's state continues as if never stopped.

    Parameters
    ----------
    settings
        Architecture, objective, schedules.
    denoiser
        As training starts; `DiffusionTask.build` makes it.
    codec
        What it works on; an autoencoder in it stays frozen.
    """

    def __init__(self, settings: DiffusionSettings, denoiser: Denoiser, codec: Codec) -> None:
        self.settings = settings
        self.denoiser = denoiser
        self.codec = codec
        self.objective = Objective(settings.objective)
        self.ema = AveragedModule(denoiser)
        chosen = settings.optimizer
        optimizer = torch.optim.AdamW(
            denoiser.parameters(), chosen.lr, (chosen.beta1, chosen.beta2), weight_decay=chosen.weight_decay
        )
        self.updates = Updates(denoiser, optimizer)

    @classmethod
    def build(
        cls,
        settings: DiffusionSettings,
        condition_dim: int,
        null_embedding: Float[Tensor, " dim"],
        patches: UInt8[Tensor, "n 3 h w"],
        autoencoder: AutoencoderKL | None = None,
        seed: int = 0,
    ) -> "DiffusionTask":
        """Make what a run starts with; initial weights depend on `seed` alone.

        Parameters
        ----------
        condition_dim
            Length of an expression embedding.
        null_embedding
            That of the all-zero expression vector.
        patches
            Some hundred training patches, which say where pixels lie and how far they spread.
        autoencoder
            Where `codes.autoencoder` asks for one: `load_autoencoder` gives it.

        Raises
        ------
        InputError
            There is an autoencoder too few or too many, or pretrained weights are missing.
        """
        codes = settings.codes
        if bool(codes.autoencoder) != (autoencoder is not None):
            raise InputError(
                f"codes.autoencoder is {codes.autoencoder!r}, but {'one' if autoencoder else 'none'} is handed in"
            )
        codec: Codec
        if autoencoder is None:
            codec = PixelCodec.fit(patches, codes.resolution, codes.pixel_block)
        else:
            autoencoder.requires_grad_(False).eval()
            codec = LatentCodec(autoencoder=autoencoder, resolution=codes.resolution, encode_px=codes.encode_px)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            denoiser = Denoiser.build(settings, codec.shape, condition_dim, null_embedding)
        return cls(settings, denoiser, codec)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move everything to the accelerator's device and let it wrap module and optimiser."""
        if accelerator.device.type == "cuda":
            self.denoiser.to(memory_format=torch.channels_last)  # what its convolutions would reorder to, every time
        if self.settings.denoiser.compile:
            compile_or_not([self.denoiser.unet], accelerator.device)
        self.updates.prepare(accelerator)
        self.ema.module.to(accelerator.device)
        if isinstance(self.codec, LatentCodec):
            self.codec.autoencoder.to(accelerator.device)

    def step(self, batch: Mapping[str, Tensor], images_seen: int) -> Losses:
        """Update the denoiser once, then its average.

        Parameters
        ----------
        batch
            `key` int64 (n,), `embedding` float32 (n, dim), and `patch` uint8 (n, 3, h, w) of any size, or `moments`
            (n, view, 2 c, h, w) as `write_moments` gives them.
        images_seen
            Images of the global batches before this step.

        Returns
        -------
        `loss`; `error`, the same without weights; `gradient`, the gradient's length.
        """
        settings, chosen, n = self.settings, self.settings.optimizer, len(batch["key"])
        middle = images_seen + settings.batch_size / 2
        self.updates.begin(
            learning_rate(chosen.lr, middle, settings.total_images, chosen.warmup_images, chosen.decay_share)
        )
        totals = {name: torch.zeros((), device=batch["embedding"].device) for name in ("loss", "error")}
        for start in range(0, n, settings.micro_batch):
            part = {name: batch[name][start : start + settings.micro_batch] for name in batch}
            share, last = len(part["key"]) / n, start + settings.micro_batch >= n
            with self.updates.gradients(last):
                loss, error = self._losses(self.updates.parallel, part, self._ask(part), settings.condition.dropout)
                self.updates.backward(loss * share)
            totals["loss"] += loss.detach() * share
            totals["error"] += error.detach() * share
        totals["gradient"] = self.updates.finish(chosen.clip_norm)
        self.ema.update(self.denoiser, ema_decay(settings.ema, images_seen + settings.batch_size, settings.batch_size))
        return totals

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
        """Score the averaged denoiser on held-out samples, at times and noises that belong to their keys.

        Returns
        -------
        `loss` and `error` as in training; `error_null`, the error with the null embedding in the place of every
        condition: how much the expression helps is the difference.
        """
        names, parts, counts = ("loss", "error", "error_null"), [], []
        for batch in batches:
            for start in range(0, len(batch["key"]), self.settings.micro_batch):
                part = {name: values[start : start + self.settings.micro_batch] for name, values in batch.items()}
                question = self._ask(part)
                loss, error = self._losses(self.ema.module, part, question, dropout=0.0)
                _, without = self._losses(self.ema.module, part, question, dropout=1.0)
                parts.append(torch.stack([loss, error, without]))
                counts.append(len(part["key"]))
        if not counts:
            raise InputError("evaluate got no samples: expected at least one batch")
        values = torch.stack(parts).tolist()  # the one moment that waits for the device
        return {
            name: sum(row[column] * count for row, count in zip(values, counts, strict=True)) / sum(counts)
            for column, name in enumerate(names)
        }

    def sample(self, conditions: Float[Tensor, "n dim"], seed: int) -> UInt8[Tensor, "n height width 3"]:
        """Draw an image for each condition with the averaged denoiser, without guidance."""
        keys = torch.arange(len(conditions)) + 1_000_003 * seed
        with self.updates.autocast():
            return self.pipeline().draw(conditions, keys)[0]

    def pipeline(self) -> ExpressionDiffusionPipeline:
        """The averaged denoiser as a pipeline that shares its weights."""
        average, codec = self.ema.module, self.codec
        assert isinstance(average, Denoiser)
        pixels = (
            {"pixel_block": codec.block, "pixel_mean": list(codec.mean), "pixel_deviation": codec.deviation}
            if isinstance(codec, PixelCodec)
            else {"encode_px": self.settings.codes.encode_px}
        )
        return ExpressionDiffusionPipeline(
            unet=average.unet,
            condition=average.condition,
            scheduler=self.objective.scheduler(),
            vae=codec.autoencoder if isinstance(codec, LatentCodec) else None,
            resolution=self.settings.codes.resolution,
            steps=self.settings.sampling.steps,
            **pixels,
        )

    def state_dict(self) -> dict[str, Any]:
        """What the module and optimiser do not hold themselves: the averaged weights, as tensors by name."""
        return {f"ema.{name}": value for name, value in self.ema.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.ema.load_state_dict({name.removeprefix("ema."): value for name, value in state.items()})

    def export(self, directory: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Save the averaged denoiser as a pipeline."""
        save_pipeline(self.pipeline(), directory, self.settings, provenance)

    @torch.no_grad()
    def _ask(self, batch: Mapping[str, Tensor]) -> Question:
        """Mix noise into a batch's codes; noisy codes, times, targets and weights."""
        keys = batch["key"].to(batch["embedding"].device)
        return self.objective.ask(self._codes(batch, keys), keys)

    def _losses(
        self, denoiser: nn.Module, batch: Mapping[str, Tensor], question: Question, dropout: float
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighted and plain error of one batch."""
        noisy, time, target, weight = question
        dropped = draw_uniform(batch["key"].to(noisy.device), Stream.DROP, 1)[:, 0] < dropout
        embeddings = self.denoiser.condition.drop(batch["embedding"], dropped)
        with self.updates.autocast():
            answer = denoiser(noisy, time, embeddings)
        return weighted_error(answer, target, weight), weighted_error(answer, target, torch.ones_like(weight))

    def _codes(self, batch: Mapping[str, Tensor], keys: Tensor) -> Float[Tensor, "n c h w"]:
        views = self.settings.codes.views
        if "moments" in batch:
            assert isinstance(self.codec, LatentCodec)
            moments = batch["moments"]
            rows = torch.arange(len(keys), device=moments.device)
            chosen = moments[rows, choose_view(keys, views).to(moments.device)]
            return sample_moments(
                chosen.to(keys.device).float(), keys, self.codec.scaling_factor, self.codec.shift_factor
            )
        return self.codec.encode(turn(read_patches(batch["patch"], self.settings.codes.resolution), keys, views))
