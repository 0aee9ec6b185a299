"""Training one stage of StyleGAN-G: the protocol of docs/architecture.md, without its loop."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from g2m_gan.augment import augment
from g2m_gan.blur import blur, blur_sigma
from g2m_gan.compiling import compile_or_not
from g2m_gan.config import GanSettings, StageSettings
from g2m_gan.discriminator import Discriminator, add_pixels, feature_shapes
from g2m_gan.ema import AveragedModule, ema_decay
from g2m_gan.errors import InputError
from g2m_gan.frozen_features import FrozenFeatures
from g2m_gan.generator import Generator, freeze_below
from g2m_gan.losses import (
    accuracy,
    adversarial,
    feature_statistics,
    hinge_fake,
    hinge_real,
    spherical_distance,
    statistics_distance,
)
from g2m_gan.model import StyleGanG
from g2m_gan.noise import Stream, draw_normal
from g2m_gan.views import crop_randomly, read_patches, resize

Guide = Callable[[Tensor], Tensor]
Losses = dict[str, Tensor]
Statistics = list[Tensor]


@runtime_checkable  # for beartype
class Accelerator(Protocol):
    """What is used of `accelerate.Accelerator`; `no_sync(model)` and `autocast()` too, where they exist."""

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def prepare(self, *args: Any) -> Any: ...  # noqa: D102

    def backward(self, loss: Tensor) -> None: ...  # noqa: D102


class GanTask:
    """Generator, discriminator and their optimisers at one resolution.

    Everything drawn depends on the samples' keys, every schedule on `images_seen` (of this stage), every loss
    is a mean over the global batch: so neither the number of processes nor `micro_batch` changes what is learned, and a
    run resumed from its modules', optimisers' and this task's state continues as if never stopped.

    Parameters
    ----------
    settings, stage_index
        All stages' settings, and which of them this is.
    generator, discriminator
        As the stage starts. `GanTask.build` makes those of the first stage, `GanTask.from_previous` of a later one.
    feature_network
        Frozen here: images (n, 3, h, w) in [-1, 1] to a list of (n, token, channel) or (n, channel, h', w').
    guide
        Images in [-1, 1] to unit vectors in the conditions' space; None only if the guidance's weight is 0. If it is a
        module, or a method of one, that module is frozen.
    seed
        Of the initial weights, here and in later stages.
    """

    def __init__(
        self,
        settings: GanSettings,
        stage_index: int,
        generator: Generator,
        discriminator: Discriminator,
        feature_network: nn.Module,
        guide: Guide | None,
        seed: int = 0,
    ) -> None:
        if settings.guidance.weight and guide is None:
            raise InputError("guidance.weight is not 0 but there is no image encoder: hand in guide, or set it to 0")
        self.settings = settings
        self.stage_index = stage_index
        self.seed = seed
        self.generator = generator
        self.discriminator = discriminator
        self.feature_network = feature_network.requires_grad_(False).eval()
        self.guide = guide
        self._guide_module = guide if isinstance(guide, nn.Module) else getattr(guide, "__self__", None)
        if isinstance(self._guide_module, nn.Module):
            self._guide_module.requires_grad_(False).eval()
        if self.stage.trainable != "all":
            freeze_below(generator, self.stage.resolution, rgb_trains=self.stage.trainable == "new-layers-and-rgb")
        self.ema = AveragedModule(generator)
        chosen = settings.optimizer
        betas, trainable = (chosen.beta1, chosen.beta2), [p for p in generator.parameters() if p.requires_grad]
        self.generator_optimizer: Any = torch.optim.Adam(trainable, chosen.lr, betas, chosen.eps)
        self.discriminator_optimizer: Any = torch.optim.Adam(
            discriminator.parameters(), chosen.discriminator_lr, betas, chosen.eps
        )
        # What gradients are averaged through: wrapped for several processes by `prepare`. The plain modules serve where
        # no gradient reaches their own weights.
        self._parallel_generator: nn.Module = generator
        self._parallel_discriminator: nn.Module = discriminator
        self._accelerator: Any = None
        # Of held-out patches, which come again at every evaluation
        self._real_features, self._real_angles = FrozenFeatures(most_bytes=2**30), FrozenFeatures()

    @property
    def stage(self) -> StageSettings:
        """Settings of the stage."""
        return self.settings.stages[self.stage_index]

    @classmethod
    def build(
        cls, settings: GanSettings, condition_dim: int, feature_network: nn.Module, guide: Guide | None, seed: int = 0
    ) -> "GanTask":
        """Make the first stage; initial weights depend on `seed` alone."""
        resolution = settings.stages[0].resolution
        shapes = feature_shapes(feature_network, settings.discriminator, resolution)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = Generator(settings.generator, condition_dim, resolution)
            discriminator = Discriminator(settings.discriminator, shapes, condition_dim)
        return cls(settings, 0, generator, discriminator, feature_network, guide, seed)

    @classmethod
    def from_previous(cls, previous: "GanTask") -> "GanTask":
        """Make the next stage: the previous one's averaged generator, grown to the next resolution.

        The discriminator's heads are carried over: their weights do not depend on the image's size, and fresh ones
        would first have to learn what the generator already satisfies. Optimisers start anew.
        """
        settings, index = previous.settings, previous.stage_index + 1
        resolution, old = settings.stages[index].resolution, previous.generator
        shapes = feature_shapes(previous.feature_network, settings.discriminator, resolution)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(previous.seed + index)
            generator = Generator(old.settings, old.condition_dim, resolution)
            discriminator = Discriminator(settings.discriminator, shapes, old.condition_dim)
        generator.load_state_dict({**generator.state_dict(), **previous.ema.state_dict()})
        discriminator.load_state_dict(previous.discriminator.state_dict())
        return cls(settings, index, generator, discriminator, previous.feature_network, previous.guide, previous.seed)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move everything to the accelerator's device and let it wrap modules and optimisers."""
        self._accelerator = accelerator
        if accelerator.device.type == "cuda":
            for group in (*self.generator_optimizer.param_groups, *self.discriminator_optimizer.param_groups):
                group |= {"fused": True, "foreach": False}  # one kernel for all parameters
        if self.settings.compile:
            compile_or_not([self.generator, *self.discriminator.heads], accelerator.device)
        (
            self._parallel_generator,
            self._parallel_discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        ) = accelerator.prepare(
            self.generator, self.discriminator, self.generator_optimizer, self.discriminator_optimizer
        )
        for module in (self.ema.module, self.feature_network, self._guide_module):
            if isinstance(module, nn.Module):
                module.to(accelerator.device)

    def step(self, batch: Mapping[str, Tensor], images_seen: int) -> Losses:
        """Update the discriminator once, then the generator once, then the averages.

        Parameters
        ----------
        batch
            `key` int64 (n,), `patch` uint8 (n, 3, h, w) of any size, `embedding` float32 (n, dim); n a multiple of
            `discriminator.group_size`.
        images_seen
            Images of the global batches of this stage before this step.
        """
        group, n = self.settings.discriminator.group_size, len(batch["key"])
        if n % group:
            raise InputError(
                f"a process got {n} images of the batch, but batch normalisation takes groups of {group}: "
                f"make batch_size a multiple of {group} x the number of processes"
            )
        sigma = blur_sigma(self.settings.blur, images_seen) if self.stage_index == 0 else 0.0
        self._set_learning_rates(images_seen)
        losses, statistics = self._update_discriminator(batch, sigma)
        losses |= self._update_generator(batch, sigma, statistics)
        self._update_averages(images_seen)
        return losses

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
        """Score the averaged generator on held-out samples, without blur or augmentation.

        Batch normalisation takes groups of samples, so a batch's last, incomplete group is left out.

        Returns
        -------
        `discriminator` (hinge loss), `real_accuracy`, `fake_accuracy` (shares of logits with the right sign), and with
        a guide `guidance` and `guidance_real`: mean squared angle in rad² to the condition, of generated and of real
        patches.
        """
        group = self.settings.discriminator.group_size
        totals: Losses = {}
        count = 0
        for batch in batches:
            n = len(batch["key"])
            n -= n % group if n > group else 0
            with self._autocast():
                scores = self._score(*(batch[name][:n] for name in ("key", "embedding", "patch")))
            _accumulate(totals, scores, float(n))
            count += n
        if not count:
            raise InputError("evaluate got no samples: expected at least one batch")
        sums = torch.stack(list(totals.values())).tolist()  # the one moment that waits for the device
        return {name: total / count for name, total in zip(totals, sums, strict=True)}

    def _score(self, keys: Tensor, condition: Tensor, patch: Tensor) -> Losses:
        """Scores of one batch; the frozen networks look at its real patches once in a training."""

        def look(images: Tensor) -> list[Tensor]:
            return self._features(resize(images, self.settings.discriminator.feature_px or self.stage.resolution))

        real = read_patches(patch, self.stage.resolution)
        fake = self._draw(self.ema.module, keys, condition, Stream.LATENT)
        on_real = self.discriminator(self._real_features.get(keys, patch, lambda: look(real)), condition)
        on_fake = self.discriminator(look(fake), condition)
        scores = {
            "discriminator": hinge_real(on_real) + hinge_fake(on_fake),
            "real_accuracy": accuracy(on_real, real=True),
            "fake_accuracy": accuracy(on_fake, real=False),
        }
        if self.guide is not None:
            scores["guidance"] = self._guidance(fake, keys, condition).mean()
            (angle,) = self._real_angles.get(keys, patch, lambda: [self._guidance(real, keys, condition)])
            scores["guidance_real"] = angle.mean()
        return scores

    def sample(self, conditions: Float[Tensor, "n dim"], seed: int) -> UInt8[Tensor, "n height width 3"]:
        """Draw an image for each condition with the averaged generator."""
        keys = torch.arange(len(conditions)) + 1_000_003 * seed
        with self._autocast():
            return self._model().generate(conditions, keys).permute(0, 2, 3, 1).contiguous()

    def state_dict(self) -> dict[str, Any]:
        """What the modules and optimisers do not hold themselves: the averaged generator, as tensors by name."""
        return {f"ema.{name}": value for name, value in self.ema.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.ema.load_state_dict({name.removeprefix("ema."): value for name, value in state.items()})

    def export(self, directory: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Save the averaged generator as a `StyleGanG`."""
        self._model().save_pretrained(directory, provenance)

    def _model(self) -> StyleGanG:
        generator = self.ema.module
        assert isinstance(generator, Generator)
        return StyleGanG(self.settings, generator)

    @torch.no_grad()
    def _update_averages(self, images_seen: int) -> None:
        z_dim, batch_size = self.settings.generator.z_dim, self.settings.batch_size
        # Draws of its own rather than the batch's, so that every process moves the mean alike.
        mapping = self.generator.mapping
        key = torch.full((1,), images_seen, device=mapping.mean.device)
        mapping.track_mean(draw_normal(key, Stream.MEAN, batch_size * z_dim).reshape(batch_size, z_dim))
        self.ema.update(self.generator, ema_decay(self.settings.ema, images_seen + batch_size, batch_size))

    def _set_learning_rates(self, images_seen: int) -> None:
        chosen = self.settings.optimizer
        share = min((images_seen + self.settings.batch_size) / max(chosen.warmup_images, 1), 1.0)
        rates = (self.generator_optimizer, chosen.lr), (self.discriminator_optimizer, chosen.discriminator_lr)
        for optimizer, rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    def _update_discriminator(self, batch: Mapping[str, Tensor], sigma: float) -> tuple[Losses, list[Statistics]]:
        """Train the heads; give losses, and of each micro-batch the real patches' statistics if they are matched."""
        self.discriminator.refresh_norms()
        self.discriminator_optimizer.zero_grad()
        share_mismatched = self.settings.discriminator.mismatch_weight
        totals: Losses = {}
        statistics: list[Statistics] = []
        for part, share, last in self._micro_batches(batch):
            keys, condition = part["key"], part["embedding"]
            with torch.no_grad(), self._autocast():
                real = read_patches(part["patch"], self.stage.resolution)
                fake = self._draw(self.generator, keys, condition, Stream.DISCRIMINATOR_LATENT)
                seen = torch.cat(
                    [
                        self._view(real, keys, Stream.REAL_VIEW, sigma),
                        self._view(fake, keys, Stream.DISCRIMINATOR_VIEW, sigma),
                    ]
                )
                features = self._features(seen)
                if self.settings.guidance.statistics_weight:
                    statistics.append(feature_statistics(seen[: len(keys)], [x[: len(keys)] for x in features]))
            conditions = [condition, condition]
            if share_mismatched:
                conditions.append(_neighbours(condition, self.settings.discriminator.group_size))
            with self._gradients(self._parallel_discriminator, last):
                logits = self._parallel_discriminator(features, torch.cat(conditions))
                on_real, on_fake, *on_mismatched = zip(*(x.split(len(keys)) for x in logits), strict=True)
                loss = hinge_real(on_real) + (1 - share_mismatched) * hinge_fake(on_fake)
                if on_mismatched:
                    loss = loss + share_mismatched * hinge_fake(on_mismatched[0])
                self._backward(loss * share)
            seen_losses = {
                "discriminator": loss,
                "real_logit": -adversarial(on_real),
                "fake_logit": -adversarial(on_fake),
            }
            _accumulate(totals, seen_losses, share)
        self.discriminator_optimizer.step()
        return totals, statistics

    def _update_generator(
        self, batch: Mapping[str, Tensor], sigma: float, statistics: Sequence[Statistics] = ()
    ) -> Losses:
        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        totals: Losses = {}
        for index, (part, share, last) in enumerate(self._micro_batches(batch)):
            keys, condition = part["key"], part["embedding"]
            with self._gradients(self._parallel_generator, last):
                fake = self._draw(self._parallel_generator, keys, condition, Stream.GENERATOR_LATENT)
                with self._autocast():
                    seen = self._view(fake, keys, Stream.GENERATOR_VIEW, sigma)
                    features = self._features(seen)
                    loss = adversarial(self.discriminator(features, condition))
                    parts = {"generator": loss}
                    if self.settings.guidance.weight:
                        parts["guidance"] = self._guidance(fake, keys, condition).mean()
                        loss = loss + self._guidance_factor * parts["guidance"]
                    if self.settings.guidance.statistics_weight:
                        drawn = feature_statistics(seen, features)
                        parts["statistics"] = statistics_distance(drawn, statistics[index]).mean()
                        loss = loss + self.settings.guidance.statistics_weight * parts["statistics"]
                self._backward(loss * share)
            _accumulate(totals, parts, share)
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        return totals

    @property
    def _guidance_factor(self) -> float:
        guidance = self.settings.guidance
        return guidance.weight * (self.settings.discriminator.group_size if guidance.reduction == "group-sum" else 1)

    def _draw(self, generator: nn.Module, keys: Int[Tensor, " n"], condition: Tensor, stream: Stream) -> Tensor:
        z_dim, counts = self.settings.generator.z_dim, self.generator.noise_counts
        draws = draw_normal(keys.to(condition.device, non_blocking=True), stream, z_dim + sum(counts))
        image: Tensor = generator(draws[:, :z_dim], condition, draws[:, z_dim:])
        return image

    def _view(self, images: Tensor, keys: Tensor, stream: Stream, sigma: float) -> Tensor:
        """Blur, augment and resize images for the feature network."""
        images = augment(blur(images, sigma), keys, stream, self.settings.augment)
        images = resize(images, self.settings.discriminator.feature_px or self.stage.resolution)
        return images.contiguous(memory_format=torch.channels_last)

    def _features(self, images: Tensor) -> list[Tensor]:
        """Give what the heads see: the frozen network's features, and the image itself if a head is meant to see it."""
        features: list[Tensor] = list(self.feature_network(images))
        return add_pixels(features, images, self.settings.discriminator)

    def _guidance(self, images: Tensor, keys: Tensor, condition: Tensor) -> Float[Tensor, " n"]:
        assert self.guide is not None  # refused at construction
        guided = crop_randomly(images, keys, self.settings.guidance.crop_px)
        return spherical_distance(self.guide(guided).float(), condition.float())

    def _micro_batches(self, batch: Mapping[str, Tensor]) -> Iterable[tuple[dict[str, Tensor], float, bool]]:
        n, size = len(batch["key"]), self.settings.micro_batch
        for start in range(0, n, size):
            part = {name: batch[name][start : start + size] for name in ("key", "patch", "embedding")}
            yield part, len(part["key"]) / n, start + size >= n

    def _gradients(self, module: nn.Module, last: bool) -> contextlib.AbstractContextManager[Any]:
        no_sync = getattr(self._accelerator, "no_sync", None)
        return contextlib.nullcontext() if last or no_sync is None else no_sync(module)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        autocast = getattr(self._accelerator, "autocast", None)
        return contextlib.nullcontext() if autocast is None else autocast()

    def _backward(self, loss: Tensor) -> None:
        if self._accelerator is None:
            torch.autograd.backward(loss)
        else:
            self._accelerator.backward(loss)


def _neighbours(condition: Float[Tensor, "n dim"], group: int) -> Float[Tensor, "n dim"]:
    """Give every sample the condition of the one before it in its group: the same choice on any split."""
    return condition.reshape(-1, group, condition.shape[1]).roll(1, dims=1).reshape(condition.shape)


def _accumulate(totals: Losses, values: Mapping[str, Tensor], weight: float) -> None:
    for name, value in values.items():
        totals[name] = totals.get(name, torch.zeros((), device=value.device)) + value.detach() * weight
