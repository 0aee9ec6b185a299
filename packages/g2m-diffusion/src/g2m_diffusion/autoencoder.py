"""An autoencoder of one's own where no pretrained one can be had: its training, its files, and loading either."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, Int
from torch import Tensor, nn

from g2m_diffusion.config import AutoencoderSettings
from g2m_diffusion.errors import InputError
from g2m_diffusion.hub import from_hub
from g2m_diffusion.moments import LOG_VARIANCE_RANGE, sample_posterior
from g2m_diffusion.replaced_folder import replaced_folder
from g2m_diffusion.schedule import learning_rate
from g2m_diffusion.updates import Accelerator, Updates
from g2m_diffusion.views import read_patches, turn

CARD = "README.md"
DECAY_SHARE = 0.5  # of the images: the rate falls over the last half
INITIAL_LOG_VARIANCE = -5.0  # of the posterior: at 0 its noise drowns the latents for as long as a short training lasts
RUNNING_SHARE = 0.02  # of the images: half-life of running means, so that they tell of the training's end

Losses = dict[str, Tensor]


class Reconstruction(nn.Module):
    """Encode, draw, decode in one forward pass, which is what several processes' gradients are averaged through."""

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(
        self, images: Float[Tensor, "n 3 r r"], keys: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n 3 r r"], Float[Tensor, "n c h w"], Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
        """Reconstructed images, the latents they come from, and mean and log variance of the latents' posterior."""
        mean, log_variance = self.autoencoder.encode(images).latent_dist.parameters.float().chunk(2, dim=1)
        latents = sample_posterior(mean, log_variance, keys)
        decoded: Tensor = self.autoencoder.decode(latents.to(images.dtype)).sample
        return decoded, latents, mean, log_variance.clamp(*LOG_VARIANCE_RANGE)


class AutoencoderTask:
    """A small `AutoencoderKL` and its optimiser; the training protocol of docs/architecture.md.

    The loss is the mean squared error of colours in [-1, 1], the same of differences between neighbouring pixels, and
    the posterior's divergence from a standard normal (Rombach et al. 2022, Eq. 25, without their discriminator and
    perceptual loss). All of them are means over the global batch, everything drawn depends on the samples' keys and the
    learning rate on `images_seen`: so neither the number of processes nor `micro_batch` changes what is learned.

    Parameters
    ----------
    settings
        Architecture, loss, schedule.
    autoencoder
        As training starts; `AutoencoderTask.build` makes it.
    """

    def __init__(self, settings: AutoencoderSettings, autoencoder: AutoencoderKL) -> None:
        self.settings = settings
        self.autoencoder = autoencoder
        self.reconstruction = Reconstruction(autoencoder)
        optimizer = torch.optim.AdamW(autoencoder.parameters(), settings.lr, betas=(0.9, 0.99))
        self.updates = Updates(self.reconstruction, optimizer)
        self.scores: dict[str, float] = {}  # of the last `evaluate`
        # Running means: weight so far, latents' mean and mean square, squared error of a colour.
        self._running = torch.zeros(4)

    @classmethod
    def build(cls, settings: AutoencoderSettings, seed: int = 0) -> "AutoencoderTask":
        """Make what a run starts with; initial weights depend on `seed` alone."""
        levels = len(settings.channels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            autoencoder = AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * levels,
                up_block_types=("UpDecoderBlock2D",) * levels,
                block_out_channels=settings.channels,
                layers_per_block=settings.layers,
                latent_channels=settings.latent_channels,
                norm_num_groups=settings.norm_groups,
                sample_size=settings.resolution,
                scaling_factor=1.0,  # measured in training, written by `export`
                mid_block_add_attention=settings.attention,
            )
        with torch.no_grad():
            autoencoder.quant_conv.bias[settings.latent_channels :] += INITIAL_LOG_VARIANCE
        return cls(settings, autoencoder)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move everything to the accelerator's device and let it wrap module and optimiser."""
        self.updates.prepare(accelerator)
        self._running = self._running.to(accelerator.device)

    def step(self, batch: Mapping[str, Tensor], images_seen: int) -> Losses:
        """Update the autoencoder once.

        Parameters
        ----------
        batch
            `key` int64 (n,), `patch` uint8 (n, 3, h, w) of any size.
        images_seen
            Images of the global batches before this step.

        Returns
        -------
        `loss`; `pixel_error` and `edge_error`, squared and in units of [-1, 1]; `kl`, in nats per colour value of the
        image, so that `kl_weight` means the same at any resolution and number of latents.
        """
        settings, n = self.settings, len(batch["key"])
        middle = images_seen + settings.batch_size / 2
        self.updates.begin(
            learning_rate(settings.lr, middle, settings.total_images, settings.warmup_images, DECAY_SHARE)
        )
        totals: Losses = {}
        for start in range(0, n, settings.micro_batch):
            keys, patch = (batch[name][start : start + settings.micro_batch] for name in ("key", "patch"))
            share, last = len(keys) / n, start + settings.micro_batch >= n
            with self.updates.gradients(last):
                losses, latents = self._losses(patch, keys)
                self.updates.backward(losses["loss"] * share)
            seen = losses | {"latent_mean": latents.mean(), "latent_square": latents.square().mean()}
            for name, value in seen.items():
                totals[name] = totals.get(name, 0.0) + value.detach() * share
        self.updates.finish(settings.clip_norm)
        self._track(totals.pop("latent_mean"), totals.pop("latent_square"), totals["pixel_error"])
        return totals

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
        """Compare held-out patches with their reconstructions from the posterior's mean; the model card tells it.

        Returns
        -------
        `mse` of colours in [-1, 1], `psnr_db` of the whole set (a peak of 2), `mae_grey_levels` of 0..255.
        """
        errors, counts = [], []
        self.autoencoder.eval()
        for batch in batches:
            for start in range(0, len(batch["patch"]), self.settings.micro_batch):
                patch = batch["patch"][start : start + self.settings.micro_batch]
                images = read_patches(patch, self.settings.resolution)
                with self.updates.autocast():
                    decoded = self.autoencoder.decode(self.autoencoder.encode(images).latent_dist.mean).sample
                error = decoded.float().clamp(-1, 1) - images
                errors.append(torch.stack([error.square().mean(), error.abs().mean()]))
                counts.append(len(patch))
        if not counts:
            raise InputError("evaluate got no samples: expected at least one batch")
        values = torch.stack(errors).tolist()  # the one moment that waits for the device
        mse, absolute = (
            sum(row[column] * count for row, count in zip(values, counts, strict=True)) / sum(counts)
            for column in (0, 1)
        )
        self.scores = {"mse": mse, "psnr_db": _psnr_db(mse), "mae_grey_levels": 127.5 * absolute}
        return dict(self.scores)

    @property
    def scaling_factor(self) -> float:
        """What brings latents to unit variance, by their running mean and mean square; 1 before training."""
        weight, mean, square, _ = self._running.double().tolist()
        return 1 / math.sqrt(max(square / weight - (mean / weight) ** 2, 1e-12)) if weight else 1.0

    @property
    def shift_factor(self) -> float:
        """What is taken from latents before that: their running mean."""
        weight, mean, *_ = self._running.double().tolist()
        return mean / weight if weight else 0.0

    def state_dict(self) -> dict[str, Any]:
        """What the module and optimiser do not hold themselves: running means."""
        return {"running": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._running = state["running"].to(self._running.device, copy=True)

    def export(self, directory: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Save in diffusers' layout, with a model card; the folder appears complete or not at all.

        Parameters
        ----------
        directory
            Replaced if it is there.
        provenance
            Anything JSON can hold about where the weights come from.
        """
        self.autoencoder.register_to_config(scaling_factor=self.scaling_factor, shift_factor=self.shift_factor)
        with replaced_folder(Path(directory)) as folder:
            self.autoencoder.save_pretrained(folder, safe_serialization=True)
            (folder / CARD).write_text(self._model_card(dict(provenance or {})))

    def _losses(self, patch: Tensor, keys: Tensor) -> tuple[Losses, Tensor]:
        settings = self.settings
        images = turn(read_patches(patch, settings.resolution), keys, "dihedral")
        with self.updates.autocast():
            decoded, latents, mean, log_variance = self.updates.parallel(images, keys)
        error = decoded.float() - images
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        parts = {
            "pixel_error": error.square().mean(),
            "edge_error": (error.diff(dim=2).square().mean() + error.diff(dim=3).square().mean()) / 2,
            "kl": divergence / images.numel(),
        }
        loss = parts["pixel_error"] + settings.edge_weight * parts["edge_error"] + settings.kl_weight * parts["kl"]
        return {"loss": loss, **parts}, latents.detach()

    @torch.no_grad()
    def _track(self, mean: Tensor, square: Tensor, error: Tensor) -> None:
        """Move the running means; their average over processes is the same on each."""
        values = torch.stack([torch.ones_like(mean), mean, square, error]).float().to(self._running.device)
        reduce = getattr(self.updates.accelerator, "reduce", None)
        if reduce is not None:
            values = reduce(values, reduction="mean")
        settings = self.settings
        decay = 0.5 ** (settings.batch_size / (RUNNING_SHARE * settings.total_images))
        self._running = decay * self._running + (1 - decay) * values

    def _measured(self) -> str:
        """The reconstruction error, and on what."""
        if self.scores:
            mse, psnr_db, grey_levels = (self.scores[name] for name in ("mse", "psnr_db", "mae_grey_levels"))
            return (
                f"Held-out patches come back with a mean squared error of {mse:.5f} (colours in [-1, 1]), "
                f"{psnr_db:.1f} dB, {grey_levels:.2f} grey levels of 255 on average."
            )
        weight, *_, error = self._running.double().tolist()
        if not weight:
            return "Not trained: the reconstruction error was not measured."
        mse = error / weight
        return (
            f"Training patches came back with a mean squared error of {mse:.5f} (colours in [-1, 1]), "
            f"{_psnr_db(mse):.1f} dB, at the end of training; it was not measured on held-out ones."
        )

    def _model_card(self, provenance: Mapping[str, Any]) -> str:
        settings = self.settings
        width = settings.resolution // 2 ** (len(settings.channels) - 1)
        parameters = sum(weight.numel() for weight in self.autoencoder.parameters())
        lines = [
            "---",
            "library_name: diffusers",
            "license: apache-2.0",
            "tags: [histology, autoencoder]",
            "---",
            "",
            "# Autoencoder of histology patches",
            "",
            f"Patches of {settings.resolution} x {settings.resolution} px to latents of {settings.latent_channels} x "
            f"{width} x {width}, and back; {parameters / 1e6:.2f} M parameters. Trained on the patches of one study "
            "alone. Not for diagnosis.",
            "",
            self._measured(),
            "Codes of unit variance are (latents - shift_factor) * scaling_factor, both in config.json.",
            "The licence is that of the software; the patches' own terms apply to what was learned from them.",
            "",
            "```python",
            "from diffusers import AutoencoderKL",
            "",
            'autoencoder = AutoencoderKL.from_pretrained("this folder")',
            "```",
            "",
            "## Settings",
            "",
            "```json",
            json.dumps(dataclasses.asdict(settings), indent=2),
            "```",
        ]
        if provenance:
            lines += ["", "## Provenance", "", "```json", json.dumps(provenance, indent=2, default=str), "```"]
        return "\n".join(lines) + "\n"


def load_autoencoder(name_or_path: str | Path, revision: str | None = None) -> AutoencoderKL:
    """Load an autoencoder, frozen.

    Parameters
    ----------
    name_or_path
        A folder or a hub id: of the autoencoder itself, or of a pipeline with one in `vae`.
    revision
        Commit, tag or branch of a hub id; without it, the newest.

    Raises
    ------
    InputError
        It is not there, or the weights are not all there.
    """
    autoencoder: AutoencoderKL = from_hub(
        AutoencoderKL, str(name_or_path), part="vae", revision=revision, setting="codes.autoencoder"
    )
    frozen: AutoencoderKL = autoencoder.requires_grad_(False).eval()
    return frozen


def _psnr_db(mse: float) -> float:
    """Peak signal to noise ratio of colours in [-1, 1]."""
    return 10 * math.log10(4 / max(mse, 1e-12))
