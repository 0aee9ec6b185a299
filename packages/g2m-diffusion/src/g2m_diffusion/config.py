"""Every setting of the diffusion models and of their autoencoder, and the presets; importing this imports no torch."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from g2m_diffusion.errors import InputError

STUDY = "study"
"""Value of ``codes.autoencoder`` that stands for one trained on the study's own patches (`g2m diffusion train-vae`)."""


@dataclass(frozen=True, kw_only=True)
class CodeSettings:
    """What the denoiser sees of a patch: its pixels, or an autoencoder's latents."""

    resolution: int = 64  # px of the images that are learned and drawn
    autoencoder: str = ""  # hub id or folder of an AutoencoderKL; "study": trained on its own patches; "": pixels
    revision: str = ""  # of a hub id; "": the newest
    encode_px: int = 0  # width a patch is resized to before the autoencoder, and back after it; 0: resolution
    pixel_block: int = 2  # without an autoencoder: squares of this many pixels become channels (space to depth)
    views: Literal["one", "flips", "dihedral"] = "dihedral"  # a patch as it is, mirrored left-right, or in all 8 ways


@dataclass(frozen=True, kw_only=True)
class DenoiserSettings:
    """The U-Net: diffusers' `UNet2DConditionModel`, from scratch or fine-tuned."""

    pretrained: str = ""  # hub id or folder whose U-Net is fine-tuned, which then decides its shape; "": from scratch
    revision: str = ""  # of a hub id; "": the newest
    channels: tuple[int, ...] = (128, 256, 384)  # of each level, from fine to coarse
    layers: int = 2  # residual blocks a level
    attention_levels: int = 1  # coarsest levels that attend to the condition's tokens, and to themselves
    head_dim: int = 32  # channels of an attention head
    norm_groups: int = 32  # groups of the normalisations
    token_dim: int = 256  # length of a condition token
    gradient_checkpointing: bool = False  # activations are computed again rather than kept: memory for time
    compile: bool = False  # by torch.compile: minutes at the start for a faster step; as ever where that fails


@dataclass(frozen=True, kw_only=True)
class ConditionSettings:
    """How an expression embedding reaches the denoiser."""

    kind: Literal["padded", "projected"] = "projected"  # padded with ones to one token (paper's code), or learned
    tokens: int = 4  # of a learned projection
    in_time_embedding: bool = True  # a learned projection also joins the time embedding, which every block sees
    dropout: float = 0.1  # probability, of each sample by itself, that the null embedding takes its place


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings:
    """What is predicted at which noise."""

    target: Literal["epsilon", "v_prediction", "flow"] = "flow"  # noise, velocity of DDPM, or of a straight path
    ddpm_steps: int = 1000  # noise levels of the first two; Stable Diffusion's schedule
    ddpm_zero_snr: bool = False  # the last level is all noise (Lin et al. 2024), so overall colour is learned
    snr_gamma: float = 0.0  # min-SNR weighting of the first two (Hang et al. 2023, Eq. 8); 0: all levels alike
    time_mean: float = 0.0  # of a flow's logit-normal times (Esser et al. 2024, Eq. 19); larger: more noise
    time_sd: float = 1.0  # the spread of those


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW, and its learning rate by images seen."""

    lr: float = 1e-4  # learning rate at its highest
    warmup_images: int = 10_000  # images over which it rises linearly from 0
    decay_share: float = 0.0  # last share of the images over which it falls linearly to 0
    beta1: float = 0.9  # decay of the gradient's mean
    beta2: float = 0.99  # decay of the gradient's square
    weight_decay: float = 0.01  # pull of all weights towards 0
    clip_norm: float = 1.0  # longest gradient; 0: no bound


@dataclass(frozen=True, kw_only=True)
class EmaSettings:
    """The exponential average of the weights, which is what gets saved; the live weights never see it."""

    half_life_images: float = 50_000.0  # images seen after which a weight counts half
    ramp_up: float = 0.05  # the half-life is at most this share of the images seen so far


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How images are drawn unless asked otherwise."""

    steps: int = 25  # evaluations of the denoiser
    guidance: tuple[float, ...] = (1.0, 2.0)  # strengths w that `g2m run` draws with; 1 is no guidance


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """A diffusion or flow model of patches given expression embeddings. Schedules are counted in images."""

    codes: CodeSettings = field(default_factory=CodeSettings)
    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)
    condition: ConditionSettings = field(default_factory=ConditionSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    total_images: int = 5_000_000  # images seen in training; 0: `epochs` of them
    epochs: float = 0.0  # passes over the study's own training pairs, where total_images is 0
    batch_size: int = 256  # images of the global batch, over all processes
    micro_batch: int = 64  # images a process holds activations for at once; memory only, never the result

    def __post_init__(self) -> None:
        codes, condition, objective = self.codes, self.condition, self.objective
        _require(self.total_images >= 0, "total_images", "a positive number, or 0 for `epochs`", self.total_images)
        _require(
            self.total_images > 0 or 0 < self.epochs < math.inf,
            "epochs",
            "a positive number where total_images is 0",
            self.epochs,
        )
        positive = {
            "batch_size": self.batch_size,
            "micro_batch": self.micro_batch,
            "codes.pixel_block": codes.pixel_block,
            "denoiser.layers": self.denoiser.layers,
            "denoiser.head_dim": self.denoiser.head_dim,
            "denoiser.norm_groups": self.denoiser.norm_groups,
            "denoiser.token_dim": self.denoiser.token_dim,
            "objective.ddpm_steps": objective.ddpm_steps,
            "sampling.steps": self.sampling.steps,
        }
        for name, value in positive.items():
            _require(value > 0, name, "a positive number", value)
        _require(codes.encode_px >= 0, "codes.encode_px", "0 or a width in pixels", codes.encode_px)
        _choice(codes.views, "codes.views", ("one", "flips", "dihedral"))
        _choice(condition.kind, "condition.kind", ("padded", "projected"))
        _choice(objective.target, "objective.target", ("epsilon", "v_prediction", "flow"))
        _require(0 <= condition.dropout < 1, "condition.dropout", "a probability below 1", condition.dropout)
        _require(codes.resolution >= 8, "codes.resolution", "at least 8 px", codes.resolution)
        _require(
            bool(codes.autoencoder) or codes.resolution % codes.pixel_block == 0,
            "codes.resolution",
            f"a multiple of codes.pixel_block {codes.pixel_block}",
            codes.resolution,
        )
        _require(
            not codes.autoencoder or codes.views != "dihedral",
            "codes.views",
            "one or flips with an autoencoder, whose latents are computed once for each view",
            codes.views,
        )
        _require(
            not self.denoiser.pretrained or bool(codes.autoencoder),
            "codes.autoencoder",
            "the autoencoder that belongs to denoiser.pretrained",
            "none",
        )
        _require(
            not objective.ddpm_zero_snr or objective.target == "v_prediction",
            "objective.ddpm_zero_snr",
            "false, or the target v_prediction: of all noise, epsilon asks nothing",
            objective.target,
        )
        _require(
            not (objective.ddpm_zero_snr and objective.snr_gamma),
            "objective.snr_gamma",
            "0 with ddpm_zero_snr, whose last level it would not count at all",
            objective.snr_gamma,
        )
        _require(
            not (self.denoiser.pretrained and codes.autoencoder == STUDY),
            "denoiser.pretrained",
            "none over an autoencoder of the study's own, whose latents it does not know (preset tiny-sd has none)",
            self.denoiser.pretrained,
        )
        _require(len(self.denoiser.channels) > 0, "denoiser.channels", "at least one level", "none")
        bad = [c for c in self.denoiser.channels if c % self.denoiser.norm_groups]
        _require(not bad, "denoiser.channels", f"multiples of norm_groups {self.denoiser.norm_groups}", bad)
        attends = bool(self.denoiser.pretrained) or self.denoiser.attention_levels > 0
        _require(
            attends or (condition.kind == "projected" and condition.in_time_embedding),
            "denoiser.attention_levels",
            "at least 1 where the condition is not in the time embedding",
            self.denoiser.attention_levels,
        )
        _require(
            not attends or condition.kind == "padded" or condition.tokens > 0,
            "condition.tokens",
            "at least 1 to attend to",
            condition.tokens,
        )
        strengths = self.sampling.guidance
        _require(
            len(strengths) > 0 and all(0 <= w < math.inf for w in strengths),
            "sampling.guidance",
            "one or more finite numbers from 0 (1 is no guidance)",
            strengths,
        )

    def of_pairs(self, pairs: int) -> "DiffusionSettings":
        """Give the same settings with `total_images` known, for a study of so many training pairs.

        Raises
        ------
        InputError
            There is no pair to count epochs in.
        """
        if self.total_images:
            return self
        _require(pairs > 0, "epochs", "a study with training pairs", pairs)
        return dataclasses.replace(self, total_images=math.ceil(self.epochs * pairs))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DiffusionSettings":
        """Settings from nested plain values, as `dataclasses.asdict` or JSON gives them.

        Raises
        ------
        InputError
            A name is unknown or a value is out of range.
        """
        sections = {
            name: _build(_SECTIONS[name], value, name) if name in _SECTIONS else value for name, value in values.items()
        }
        built: DiffusionSettings = _build(cls, sections, "settings")
        return built


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """A small AutoencoderKL trained on a study's own patches, where no pretrained one can be had."""

    resolution: int = 64  # px of the images it is trained on
    channels: tuple[int, ...] = (64, 128, 128)  # of each level; every level after the first halves the width
    layers: int = 1  # residual blocks a level
    latent_channels: int = 4  # channels of the latents
    norm_groups: int = 32  # groups of the normalisations
    attention: bool = False  # self-attention at the coarsest level
    kl_weight: float = 1e-6  # pull of the latents towards a standard normal, relative to the error of a pixel
    edge_weight: float = 1.0  # weight of the error of differences between neighbouring pixels: sharpness
    lr: float = 1e-3  # learning rate of AdamW, which falls to 0 over the last half
    warmup_images: int = 2_000  # images over which it rises linearly from 0
    clip_norm: float = 1.0  # longest gradient
    total_images: int = 500_000  # images seen in training
    batch_size: int = 64  # images of the global batch, over all processes
    micro_batch: int = 64  # images a process holds activations for at once; memory only, never the result

    def __post_init__(self) -> None:
        for name in ("layers", "latent_channels", "norm_groups", "total_images", "batch_size", "micro_batch"):
            _require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        _require(len(self.channels) > 0, "channels", "at least one level", "none")
        bad = [c for c in self.channels if c % self.norm_groups]
        _require(not bad, "channels", f"multiples of norm_groups {self.norm_groups}", bad)
        factor = 2 ** (len(self.channels) - 1)
        _require(self.resolution % factor == 0, "resolution", f"a multiple of {factor}", self.resolution)


_SECTIONS: dict[str, type] = {
    "codes": CodeSettings,
    "denoiser": DenoiserSettings,
    "condition": ConditionSettings,
    "objective": ObjectiveSettings,
    "optimizer": OptimizerSettings,
    "ema": EmaSettings,
    "sampling": SamplingSettings,
}


def _build(kind: type, values: Any, where: str) -> Any:
    _require(isinstance(values, Mapping), where, "settings by name", values)
    names = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(set(values) - names)
    _require(not unknown, where, "names among " + ", ".join(sorted(names)), ", ".join(unknown))
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _require(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise InputError(f"{name}: expected {expected}, found {found}")


def _choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, "one of " + ", ".join(choices), value)


_STABLE_DIFFUSION = "CompVis/stable-diffusion-v1-4"
_PAPER = DiffusionSettings(
    codes=CodeSettings(resolution=128, autoencoder=_STABLE_DIFFUSION, views="flips"),
    denoiser=DenoiserSettings(pretrained=_STABLE_DIFFUSION),
    condition=ConditionSettings(kind="padded", in_time_embedding=False),
    objective=ObjectiveSettings(target="epsilon"),
    optimizer=OptimizerSettings(lr=1e-5, warmup_images=0, beta2=0.999),
    # 0.9999 at every update of 32 images; after n updates at most (1 + n) / (10 + n), like diffusers' EMAModel
    ema=EmaSettings(half_life_images=221_800.0, ramp_up=0.077),
    sampling=SamplingSettings(steps=50, guidance=(1.0, 3.0, 7.0)),
    total_images=0,
    epochs=55.0,
    batch_size=32,
    micro_batch=32,
)

_TINY = DiffusionSettings(
    denoiser=DenoiserSettings(channels=(48, 96, 128), layers=1, norm_groups=16, token_dim=192),
    optimizer=OptimizerSettings(lr=2e-3, warmup_images=512, decay_share=0.5),
    ema=EmaSettings(half_life_images=8_000.0),
    sampling=SamplingSettings(steps=14, guidance=(1.0,)),
    total_images=4_480,
    batch_size=8,  # more updates for the same images decide a run this short
    micro_batch=8,
)

PRESETS: dict[str, DiffusionSettings] = {
    # The text: SD 1.4's U-Net fine-tuned for 55 epochs (the paper's are of 307,713 pairs), everything else frozen;
    # batch 32, lr 1e-5; the embedding as one token, padded with ones from 512 to 768; one condition in ten is the null
    # embedding.
    "paper": _PAPER,
    # Its public code, where that differs: gradients accumulated over four batches of 32. Not its two defects
    # (conditions dropped by the batch; averaged weights written over the live ones at each checkpoint).
    "paper-code": dataclasses.replace(
        _PAPER, batch_size=128, ema=EmaSettings(half_life_images=4 * 221_800.0, ramp_up=0.077)
    ),
    # What we recommend for Stable Diffusion: the condition as eight learned tokens and in the time embedding;
    # velocities, down to a level that is all noise, so that overall colour is learned; patches enlarged to 256 px,
    # since the U-Net knows latents of 64 px and not of 16.
    "base": dataclasses.replace(
        _PAPER,
        codes=dataclasses.replace(_PAPER.codes, encode_px=256),
        condition=ConditionSettings(kind="projected", tokens=8),
        objective=ObjectiveSettings(target="v_prediction", ddpm_zero_snr=True),
        optimizer=OptimizerSettings(lr=5e-5, warmup_images=20_000, decay_share=0.2),
        ema=EmaSettings(half_life_images=50_000.0),
        sampling=SamplingSettings(steps=30, guidance=(1.0, 3.0)),
        total_images=2_000_000,
        epochs=0.0,
        batch_size=64,
    ),
    # A model made for tissue, from scratch on one GPU: straight paths in pixels at 128 px.
    "tissue": DiffusionSettings(
        codes=CodeSettings(resolution=128),
        denoiser=DenoiserSettings(channels=(128, 256, 384, 512), attention_levels=2),
        objective=ObjectiveSettings(time_mean=0.5),  # neighbouring pixels repeat each other: more noise to hide them
    ),
    # The same on two CPU cores, at 64 px.
    "tiny": _TINY,
    # The recipe of `base` on two CPU cores: an autoencoder of the study's own, whose small latents
    # let it see more images in the same time.
    "tiny-sd": dataclasses.replace(
        _TINY,
        optimizer=OptimizerSettings(lr=1e-3, warmup_images=2_000, decay_share=0.5),
        sampling=SamplingSettings(steps=20, guidance=(1.0,)),
        total_images=11_200,
        batch_size=16,
        micro_batch=16,
        codes=CodeSettings(autoencoder=STUDY, views="flips"),
        objective=ObjectiveSettings(target="v_prediction", ddpm_zero_snr=True),
    ),
}

AUTOENCODER_PRESETS: dict[str, AutoencoderSettings] = {
    # For 128 px patches on one GPU: 16 x 16 latents like Stable Diffusion's.
    "base": AutoencoderSettings(resolution=128, channels=(64, 128, 256, 256), layers=2, attention=True),
    # Minutes on two CPU cores: 16 x 16 latents of 64 px patches.
    "tiny": AutoencoderSettings(channels=(16, 32, 64), norm_groups=8, total_images=16_000, batch_size=32),
}

FAMILIES: dict[str, dict[str, str]] = {
    # generator of a study: which row of PRESETS stands for it under each preset of `g2m run`
    "tissue": {"paper": "tissue", "paper-code": "tissue", "base": "tissue", "tiny": "tiny"},
    "sd": {"paper": "paper", "paper-code": "paper-code", "base": "base", "tiny": "tiny-sd"},
}
