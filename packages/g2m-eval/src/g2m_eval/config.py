"""Settings of an evaluation; importing this never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from g2m_eval.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How generated patches are scored."""

    extractor_steps: int = 600  # optimiser updates of the metrics' own network
    train_patches: int = 12_000  # real training patches that network sees, drawn evenly
    permutations: int = 9999  # behind each p value
    kernel_subsets: int = 100  # of the kernel distance

    def __post_init__(self) -> None:
        for name in ("extractor_steps", "train_patches", "permutations", "kernel_subsets"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected a positive number, found {getattr(self, name)}")


PRESETS: Mapping[str, EvaluationSettings] = MappingProxyType(
    {
        # The paper's metric is FID with Inception on 36,528 images; offline, the same distance on a network of our own.
        "paper": EvaluationSettings(extractor_steps=2000, train_patches=50_000),
        "paper-code": EvaluationSettings(extractor_steps=2000, train_patches=50_000),
        "base": EvaluationSettings(extractor_steps=2000, train_patches=50_000),
        # Under a minute on two CPU cores.
        "tiny": EvaluationSettings(),
    }
)
