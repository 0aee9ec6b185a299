"""Every setting of StyleGAN-G, and the presets; importing this never imports torch."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from g2m_gan.errors import InputError

BASE_RESOLUTION = 8
POLICIES = ("color", "translation", "cutout")


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """The generator's shape; the defaults are the paper's "lite" network (65.51 M parameters at 64 px)."""

    z_dim: int = 64  # length of the noise vector, and of the mapped half of w
    mapping_layers: int = 2  # fully connected layers between z and w
    mapping_lr_multiplier: float = 0.01  # learning rate of the mapping relative to the rest
    channel_base: int = 32768  # channels at a resolution: channel_base / resolution,
    channel_max: int = 512  # but never more than this
    residual_blocks: int = 2  # pairs (convolution, residual convolution) in each block, after its up-sampling
    layer_scale: float = 1e-5  # what a residual branch is multiplied by at the start
    norm_groups: int = 32  # groups of the normalisation in a residual branch
    fourier_bandwidth: float = 2.0  # highest frequency of the 8 px input, cycles per image
    patch_colors: bool = False  # draw in training patches' principal colours, which the paper's network has to find
    rgb_init: float = 1.0  # scale of the weights that read images off features, at the start
    activation_clamp: float = 256.0  # bounds activations for half precision; 0: no bound
    condition_gain: float = 1.0  # what an embedding is multiplied by before it joins w
    truncation_decay: float = 0.995  # of the running mean that truncation pulls towards, a step

    def channels(self, resolution: int) -> int:
        """Channels of the block at `resolution` px."""
        return min(self.channel_base // resolution, self.channel_max)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """The trainable heads over the frozen feature network."""

    features: str = "hf-hub:1aurent/vit_base_patch16_224.owkin_pancancer"  # timm name, hub id or folder of the frozen
    # network, for whoever loads it and hands it in; "encoder": phase 1's image backbone
    levels: tuple[int, ...] = ()  # which of the network's feature sets get a head, counted from 0; empty: all
    pixel_cell: int = 0  # a further head sees the image itself, in cells of this many pixels; 0: features only
    head_kernel: int = 9  # taps of a head's residual convolution: k tokens, or a square of sqrt(k) on feature maps
    projection_dim: int = 64  # features are compared with the condition in this many dimensions
    group_size: int = 8  # consecutive samples that batch normalisation takes together
    feature_px: int = 224  # width an image is area-resized to before the feature network; 0: as it is
    condition_gain: float = 1.0  # what an embedding is multiplied by before the projection
    mismatch_weight: float = 0.0  # weight of "real patch, neighbour's expression" as a third kind of sample; 0: off


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Differentiable augmentation of what the discriminator sees, real and generated alike."""

    flip: bool = True  # left-right and up-down, each with probability 1/2
    policy: tuple[str, ...] = POLICIES  # any of "color", "translation", "cutout"
    color: float = 1.0  # strength of brightness, saturation and contrast changes; 1 is DiffAugment's own
    translation: float = 0.125  # largest shift, share of the width
    cutout: float = 0.2  # width of the hole, share of the width


@dataclass(frozen=True, kw_only=True)
class GuidanceSettings:
    """The spherical distance between a generated image's embedding and its condition (paper, Method, Phase 2)."""

    weight: float = 0.2  # lambda; 0: off, and no image encoder is needed
    reduction: Literal["mean", "group-sum"] = "mean"  # over the batch, or sums over groups of group_size, then averaged
    statistics_weight: float = 0.0  # of matching the real patch's feature means and deviations; 0: off, as in the paper
    crop_px: int = 0  # guide a random crop of this width where the image is larger; 0: the whole image


@dataclass(frozen=True, kw_only=True)
class BlurSettings:
    """Blur of everything the discriminator sees early in the first stage; sigma falls linearly to 0."""

    sigma_px: float = 32.0  # width at the start, in pixels of the stage
    images: int = 1_000_000  # images seen when it has reached 0; 0: no blur


@dataclass(frozen=True, kw_only=True)
class EmaSettings:
    """The exponential average of the generator's weights, which is what gets saved."""

    half_life_images: float = 40_000.0  # images seen after which a weight counts half
    ramp_up: float = 0.05  # the half-life is at most this share of the images seen so far


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam, for both networks."""

    lr: float = 2e-3  # learning rate of the generator
    discriminator_lr: float = 2e-3  # learning rate of the heads
    warmup_images: int = 0  # images of a stage over which both rates rise linearly from 0
    beta1: float = 0.0  # decay of the gradient's mean
    beta2: float = 0.99  # decay of the gradient's square
    eps: float = 1e-8  # gradients well below this no longer count


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """One resolution of progressive growing."""

    resolution: int = 64  # px, a power of two >= 16
    total_images: int = 2_048_000  # images seen in this stage
    trainable: Literal["all", "new-layers", "new-layers-and-rgb"] = "all"  # which of the generator's layers learn


@dataclass(frozen=True, kw_only=True)
class GanSettings:
    """StyleGAN-G: architecture, losses, schedules. Batches and schedules are counted in images."""

    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    discriminator: DiscriminatorSettings = field(default_factory=DiscriminatorSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    blur: BlurSettings = field(default_factory=BlurSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    stages: tuple[StageSettings, ...] = (
        StageSettings(),
        StageSettings(resolution=128, total_images=6_400_000, trainable="new-layers"),
    )
    batch_size: int = 128  # images of the global batch, over all processes
    micro_batch: int = 64  # most images a process holds activations for at once; memory only, never the result
    compile: bool = False  # by torch.compile: minutes at the start for a faster step; as ever where that fails

    def __post_init__(self) -> None:
        group = self.discriminator.group_size
        for name in ("batch_size", "micro_batch"):
            value = getattr(self, name)
            _require(
                value >= group and value % group == 0, name, f"a multiple of {group} (discriminator.group_size)", value
            )
        unknown = [name for name in self.augment.policy if name not in POLICIES]
        _require(not unknown, "augment.policy", "any of " + ", ".join(POLICIES), ", ".join(unknown))
        _require(
            self.guidance.reduction in ("mean", "group-sum"),
            "guidance.reduction",
            "mean or group-sum",
            self.guidance.reduction,
        )
        self._check_stages()

    def _check_stages(self) -> None:
        _require(len(self.stages) > 0, "stages", "at least one stage", "none")
        previous = BASE_RESOLUTION
        for index, stage in enumerate(self.stages):
            where = f"stages[{index}]"
            power = stage.resolution > previous and math.log2(stage.resolution).is_integer()
            _require(power, f"{where}.resolution", f"a power of two above {previous}", stage.resolution)
            choices = ("all", "new-layers", "new-layers-and-rgb")
            _require(stage.trainable in choices, f"{where}.trainable", "one of " + ", ".join(choices), stage.trainable)
            _require(
                index > 0 or stage.trainable == "all", f"{where}.trainable", "all in the first stage", stage.trainable
            )
            _require(stage.total_images > 0, f"{where}.total_images", "a positive number", stage.total_images)
            previous = stage.resolution

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "GanSettings":
        """Settings from nested plain values, as `dataclasses.asdict` or JSON gives them.

        Raises
        ------
        InputError
            A name is unknown or a value is out of range.
        """
        sections: dict[str, Any] = {}
        for name, value in values.items():
            kind = _SECTIONS.get(name)
            if kind is not None:
                sections[name] = _build(kind, value, name)
            elif name == "stages":
                sections[name] = tuple(_build(StageSettings, stage, "stages") for stage in value)
            else:
                sections[name] = value
        built: GanSettings = _build(cls, sections, "settings")
        return built


_SECTIONS: dict[str, type] = {
    "generator": GeneratorSettings,
    "discriminator": DiscriminatorSettings,
    "augment": AugmentSettings,
    "guidance": GuidanceSettings,
    "blur": BlurSettings,
    "ema": EmaSettings,
    "optimizer": OptimizerSettings,
}


def _build(kind: type, values: Mapping[str, Any], where: str) -> Any:
    names = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(set(values) - names)
    _require(not unknown, where, "names among " + ", ".join(sorted(names)), ", ".join(unknown))
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _require(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise InputError(f"{name}: expected {expected}, found {found}")


# A process holds the whole batch: an estimated 60 GB at 128 px in bf16, of 80; two GPUs halve it, so does micro_batch.
_PAPER = GanSettings(augment=AugmentSettings(flip=False), micro_batch=128)

PRESETS: dict[str, GanSettings] = {
    # The text: Owkin's ViT-B (Filiot et al. 2023) under the discriminator; lambda 0.2 of a mean; 64 px for 16,000
    # iterations of 128 images, then 128 px for 50,000 with all layers up to 64 px fixed. No flips: the text names them
    # for neither phase 2a nor its DiffAugment (colour, translation, cutout), only for phase 1 and Stable Diffusion.
    "paper": _PAPER,
    # Its public code, where that differs: Lunit's ViT-S/16 (weights non-commercial); guidance summed over micro-batches
    # of 8 (lambda acts like 1.6) and, above 64 px, on a random 64 px crop; in the second stage every ToRGB layer still
    # trains (10.20 M of 72.16 M).
    "paper-code": dataclasses.replace(
        _PAPER,
        discriminator=DiscriminatorSettings(features="hf-hub:1aurent/vit_small_patch16_224.lunit_dino"),
        guidance=GuidanceSettings(weight=0.2, reduction="group-sum", crop_px=64),
        stages=(
            StageSettings(),
            StageSettings(resolution=128, total_images=6_400_000, trainable="new-layers-and-rgb"),
        ),
    ),
    # What we recommend on one GPU: the lite network, guidance as strong as the code's but on the whole image, negatives
    # with a neighbour's expression, gentler colour augmentation (stain carries meaning), flips, since tissue has no
    # upright, a quarter of the images. The encoder reads 128 px, so images go there at once, not by way of 224.
    "base": dataclasses.replace(
        _PAPER,
        discriminator=DiscriminatorSettings(features="encoder", feature_px=128, mismatch_weight=0.5),
        augment=AugmentSettings(color=0.5),
        guidance=GuidanceSettings(weight=1.6),
        blur=BlurSettings(images=200_000),
        ema=EmaSettings(half_life_images=20_000.0),
        stages=(
            StageSettings(total_images=640_000),
            StageSettings(resolution=128, total_images=1_280_000, trainable="new-layers-and-rgb"),
        ),
        batch_size=64,
        micro_batch=64,
    ),
    # Minutes on two CPU cores: a small generator at 64 px, no residual blocks, that starts from the patches' colours;
    # heads over all but the finest map of phase 1's small CNN and one over the pixels, negatives with a neighbour's
    # expression, and matched statistics, which are worth more than the adversary in a run this short.
    "tiny": GanSettings(
        generator=GeneratorSettings(
            channel_base=2048,
            channel_max=96,
            residual_blocks=0,
            patch_colors=True,
            rgb_init=0.25,
            activation_clamp=0.0,
            condition_gain=8.0,
        ),
        discriminator=DiscriminatorSettings(
            features="encoder",
            feature_px=0,
            levels=(1, 2, 3, 4, 5),
            pixel_cell=4,
            condition_gain=8.0,
            mismatch_weight=0.5,
        ),
        augment=AugmentSettings(policy=()),
        guidance=GuidanceSettings(weight=0.5, statistics_weight=4.0),
        blur=BlurSettings(sigma_px=4.0, images=500),
        ema=EmaSettings(half_life_images=1_000.0),
        optimizer=OptimizerSettings(lr=8e-3),
        stages=(StageSettings(total_images=9_600),),
        batch_size=16,
        micro_batch=8,  # one group: what a process computes is the same to the bit, however many there are
    ),
}
