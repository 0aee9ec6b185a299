"""The networks that `g2m eval images` can look through: the metrics' own, Inception, any backbone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.errors import InputError
from g2m_cli.evaluation.scoring import open_judge
from g2m_cli.models import family_of
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study

if TYPE_CHECKING:
    from torch import nn

    from g2m_eval import EvaluationSettings, Extractor

OWN, INCEPTION = "own", "inception"


@dataclass(frozen=True, kw_only=True)
class OpenedExtractor:
    """A network, and what has to be said beside its numbers."""

    extractor: Extractor
    resize: str
    """How it brings patches to its own size; empty where it takes them as they are."""
    inception: bool = False
    licence: str | None = None
    revision: str | None = None
    backbone: str = ""
    """As it was asked for, of a backbone."""
    sha256: str | None = None


def extractor_identity(spec: str, weights: Path | None) -> dict[str, Any]:
    """Describe what was asked for, without opening it: enough to see that nothing has changed.

    Raises
    ------
    InputError
        If the file of weights is not there.
    """
    identity: dict[str, Any] = {"extractor": spec}
    if spec not in (OWN, INCEPTION):
        identity["preprocessing"] = "the backbone's own"  # what was seen before through ImageNet's is seen again
    files = sorted(p for p in Path(spec).iterdir() if p.is_file()) if Path(spec).is_dir() else []
    if spec == INCEPTION and weights is not None:
        files = [weights]
    for file in files:
        try:
            with file.open("rb") as opened:
                identity[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"--weights {file}: {error.strerror}; give torch-fidelity's file of weights") from error
    return identity


def open_extractor(
    spec: str, study: Study, resolution: int, settings: EvaluationSettings, *, weights: Path | None, seed: int
) -> OpenedExtractor:
    """Open ``own``, ``inception``, or a backbone by timm name, hub id or folder, on the GPU if there is one.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    from g2m_cli.device import compute_device

    device = compute_device()
    if spec == OWN:
        judge = open_judge(study, resolution, settings, seed=seed)
        return OpenedExtractor(extractor=judge.extractor.extractor.to(device), resize="")
    if spec == INCEPTION:
        from g2m_eval.extractors.inception import InceptionExtractor

        inception = InceptionExtractor.load(weights, device=device)
        return OpenedExtractor(
            extractor=inception,
            resize="299 px by torch-fidelity (bilinear, as TensorFlow 1)",
            inception=inception.published,
            licence=inception.licence,
            revision=inception.revision,
        )
    return open_backbone_extractor(spec, device)


def open_backbone_extractor(spec: str, device: Any) -> OpenedExtractor:
    """Compose a backbone of g2m-encoders with its own size, resampling and normalisation into an extractor."""
    from g2m_encoders.backbones import fingerprint as weights_hash
    from g2m_encoders.backbones import open_backbone
    from g2m_eval.extractors.function import FunctionExtractor

    backbone, record = open_backbone(spec, setting="--extractor")
    sha256 = record.sha256 or weights_hash(backbone)
    feed = Preprocessing.of(backbone)
    # features are cached by this name, so it tells two normalisations of the same weights apart
    told_apart = hashlib.sha256(f"{sha256} {feed}".encode()).hexdigest()
    name = f"{record.architecture} {feed.size}px {told_apart[:6]}"
    return OpenedExtractor(
        extractor=FunctionExtractor(name, pooled_features(backbone.to(device).eval(), feed, device)),
        resize=f"{feed.size} px ({feed.interpolation} with antialiasing)",
        licence=record.licence,
        revision=record.revision,
        backbone=spec,
        sha256=sha256,
    )


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a backbone wants its images; whole patches are resized, never cropped, so that all of the tissue counts."""

    size: int
    """Pixels a side."""
    interpolation: str
    """bilinear or bicubic."""
    mean: tuple[float, ...]
    """Of RGB in [0, 1]."""
    std: tuple[float, ...]

    @classmethod
    def of(cls, backbone: nn.Module) -> Preprocessing:
        """Read what the backbone carries."""
        carried: Any = backbone.pretrained_cfg
        bicubic = carried.get("interpolation") == "bicubic"
        return cls(
            size=int(carried["input_size"][-1]),
            interpolation="bicubic" if bicubic else "bilinear",
            mean=tuple(carried["mean"]),
            std=tuple(carried["std"]),
        )


def pooled_features(backbone: nn.Module, feed: Preprocessing, device: Any) -> Any:
    """Give the function of uint8 images that resizes, normalises as the weights want it, and calls the backbone."""
    import torch
    from torch.nn import functional

    mean, std = (torch.tensor(numbers, device=device).view(1, 3, 1, 1) for numbers in (feed.mean, feed.std))

    def features(images: NDArray[np.uint8]) -> Any:
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
        batch = functional.interpolate(batch, size=(feed.size, feed.size), mode=feed.interpolation, antialias=True)
        return backbone((batch.clamp(0, 1) - mean) / std)

    return features


def took_part(study: Study, name: str, opened: OpenedExtractor) -> bool:
    """Whether a generator was trained with this network's help: as its encoders' or as its discriminator's backbone.

    The encoders count for every generator, since the conditions were fitted to their image backbone.
    """
    if not opened.backbone:
        return False
    return any(
        same_network(used, opened) for used in (encoder_backbone(study), discriminator_backbone(study, name)) if used
    )


def same_network(used: Mapping[str, Any], opened: OpenedExtractor) -> bool:
    """Whether these are the same pretrained weights: by their hash if it is known, by name otherwise."""
    if not used.get("pretrained", True):
        return False
    if used.get("sha256") and opened.sha256:
        return bool(used["sha256"] == opened.sha256)
    return str(used.get("name")).partition("@")[0] == opened.backbone.partition("@")[0]


def encoder_backbone(study: Study) -> dict[str, Any]:
    """Read what the encoders' image backbone was."""
    try:
        found: dict[str, Any] = json.loads((study.run("encoders") / "model" / "config.json").read_text())["backbone"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


def discriminator_backbone(study: Study, name: str) -> dict[str, Any]:
    """Read which network a GAN's discriminator looked through, where it was not the encoders'."""
    settings = (read_provenance(study.run(family_of(name))) or {}).get("settings", {})
    features = settings.get("discriminator", {}).get("features", "encoder")
    return {} if features == "encoder" else {"name": features}


def describe_extractor(opened: OpenedExtractor) -> dict[str, Any]:
    """Give what images.json holds of it."""
    return {
        "name": opened.extractor.name,
        "resize": opened.resize,
        "licence": opened.licence,
        "revision": opened.revision,
        "sha256": opened.sha256,
    }
