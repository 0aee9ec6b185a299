"""Settings of the contrastive encoders; importing this module never imports torch."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from g2m_encoders.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ExpressionSettings:
    """The expression encoder: an MLP with a projection head (paper, Method, Phase 1)."""

    hidden: int = 0  # width of the first layer; 0 = as many as there are genes (the paper's square layer)
    features: int = 1024  # width of the second layer, which the projection head reads
    dropout: float = 0.8  # after the first layer and inside the projection head
    layer_norm: bool = False  # normalise the first layer's output: steadies large learning rates


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """The image encoder: any timm backbone with the same projection head (paper, Method, Phase 1)."""

    backbone: str = (
        "hf-hub:MahmoodLab/UNI"  # timm name, hf-hub:owner/name[@revision], or a local folder in timm's layout
    )
    pretrained: bool = True  # False: random weights of that architecture
    frozen: bool = True  # True: the backbone is never updated, only its head is
    input_size: int = 224  # side in pixels that patches are resized to (area)
    dropout: float = 0.8  # inside the projection head
    mean: tuple[float, float, float] | None = None  # of [0, 1] RGB, subtracted before the backbone; None: its own
    std: tuple[float, float, float] | None = None  # of [0, 1] RGB; None: the backbone's own


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW and its schedule, counted in images seen."""

    lr: float = 5e-6  # the highest learning rate
    weight_decay: float = 0.01  # decoupled, of every parameter but the temperature
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_images: int = 0  # linear rise from 0 over this many images
    decay: str = "constant"  # "constant", or "cosine" down to 0 at total_images


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """What is varied anew each time a pair is seen; 0 or False switches a thing off."""

    flips: bool = True  # horizontal and vertical, each with probability 1/2
    rotations: bool = False  # quarter turns too, by a transposition with probability 1/2
    brightness: float = 0.2  # factor drawn from [1 - b, 1 + b]
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.2  # fraction of a full turn, drawn from [-h, h]
    gain: float = 0.0  # factor of each RGB channel on its own, [1 - g, 1 + g]: stains differ so
    expression_noise: float = 0.0  # sigma of a log-normal factor on each gene's counts: batch effects differ so
    gene_dropout: float = 0.0  # probability that a gene is read as 0: shallower sections differ so


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Everything that decides a pair of encoders and its training."""

    expression: ExpressionSettings = field(default_factory=ExpressionSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    embedding_dim: int = 512  # dimension of the shared space
    batch_size: int = 128  # pairs per update over all processes; the loss contrasts within it
    total_images: int = 4_200 * 128  # length of training in pairs seen
    max_pairs: int | None = 10_000  # pairs drawn uniformly once, before training; None = all
    temperature: float = 1.0  # the similarities' divisor, or its start where it is learned
    learn_temperature: bool = False  # as in CLIP

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.optimizer.decay not in ("constant", "cosine"):
            raise InputError(f"optimizer.decay is {self.optimizer.decay!r}; expected 'constant' or 'cosine'")
        if self.batch_size < 2:
            raise InputError(f"batch_size is {self.batch_size}; a contrast needs at least 2 pairs")
        if self.temperature <= 0:
            raise InputError(f"temperature is {self.temperature}; expected a positive number")
        for name, value in (
            ("expression.dropout", self.expression.dropout),
            ("image.dropout", self.image.dropout),
            ("augmentation.gene_dropout", self.augmentation.gene_dropout),
        ):
            if not 0 <= value < 1:
                raise InputError(f"{name} is {value}; expected a probability, at least 0 and below 1")


PRESETS: Mapping[str, EncoderSettings] = types.MappingProxyType(
    {
        # The paper's text, Phase 1 and training details: UNI frozen, dropout 0.8, lr 5e-6, batch 128, 4,200
        # iterations, 10,000 pairs, "the CLIP loss", whose temperature starts at 0.07 and is learned (Radford
        # et al. 2021).
        "paper": EncoderSettings(temperature=0.07, learn_temperature=True),
        # The paper's public code where it differs from the text: the temperature stays at 1.
        "paper-code": EncoderSettings(),
        # What we recommend on a GPU: an ungated ImageNet backbone (Apache-2.0) trained along, a narrower first layer,
        # all pairs.
        "base": EncoderSettings(
            expression=ExpressionSettings(hidden=2048, features=1024, dropout=0.2, layer_norm=True),
            image=ImageSettings(backbone="convnext_nano.in12k_ft_in1k", frozen=False, input_size=128, dropout=0.1),
            optimizer=OptimizerSettings(lr=2e-4, weight_decay=0.05, warmup_images=50_000, decay="cosine"),
            augmentation=AugmentationSettings(
                rotations=True, hue=0.03, gain=0.1, expression_noise=0.3, gene_dropout=0.1
            ),
            batch_size=512,
            total_images=3_000_000,
            max_pairs=None,
            temperature=0.07,
            learn_temperature=True,
        ),
        # Minutes on two CPU cores, nothing to download: a small residual network from scratch, whose features
        # then serve the GAN.
        "tiny": EncoderSettings(
            expression=ExpressionSettings(hidden=512, features=256, dropout=0.2, layer_norm=True),
            image=ImageSettings(
                backbone="test_resnet",
                pretrained=False,
                frozen=False,
                input_size=64,
                dropout=0.0,
                mean=(0.5,) * 3,
                std=(0.5,) * 3,
            ),
            optimizer=OptimizerSettings(lr=2e-3, weight_decay=0.05, warmup_images=3_000, decay="cosine"),
            augmentation=AugmentationSettings(
                rotations=True, hue=0.02, gain=0.1, expression_noise=0.4, gene_dropout=0.1
            ),
            embedding_dim=128,
            batch_size=64,
            total_images=32_000,
            max_pairs=None,
            temperature=0.1,
            learn_temperature=True,
        ),
    }
)


def settings_to_dict(settings: EncoderSettings) -> dict[str, Any]:
    """Settings as nested dictionaries that JSON can hold."""
    return dataclasses.asdict(settings)


def settings_from_dict(values: Mapping[str, Any]) -> EncoderSettings:
    """Settings from what `settings_to_dict` gave, absent keys at their defaults.

    Raises
    ------
    InputError
        For an unknown key, naming the nearest valid one.
    """
    settings: EncoderSettings = _build(EncoderSettings, values, prefix="")
    return settings


def _build(kind: Any, values: Mapping[str, Any], *, prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    arguments = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            raise InputError(
                f"unknown encoder setting {prefix + name!r}" + (f"; did you mean {prefix + near[0]!r}?" if near else "")
            )
        if dataclasses.is_dataclass(hints[name]):
            arguments[name] = _build(hints[name], value, prefix=f"{prefix}{name}.")
        else:
            arguments[name] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)
