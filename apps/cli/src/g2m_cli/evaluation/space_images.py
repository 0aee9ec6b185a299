"""Real and generated patches of a study, by the phase-1 image encoder and by the metrics' own network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.evaluation.scoring import Judge, TestSpots
from g2m_cli.generation import open_images
from g2m_cli.study import Study, folder_id

if TYPE_CHECKING:
    from g2m_eval.config import SpaceSettings
    from g2m_eval.space.images import ImageSpace, PatchFeatures

_BATCH = 256


def image_space(
    study: Study, spots: TestSpots, judge: Judge, models: Sequence[str], settings: SpaceSettings, *, seed: int
) -> ImageSpace | None:
    """Compare real with generated patches by the image encoder and by the metrics' network, all at one size.

    None, and the reason is told, where a kind has too few patches; of the generators only those with enough count.
    """
    from g2m_eval.resize import resize_patches
    from g2m_eval.space.images import compare_images
    from g2m_eval.space.mixing import FEWEST

    size = min(int(open_images(study.generated(name)).shape[1]) for name in models)
    patches = {
        "test": spots.dataset.patches(draw(len(spots), settings.images, seed)),
        "train": judge.dataset.patches(judge.rows[draw(len(judge.rows), settings.images, seed)]),
        **{name: some_generated(study, name, settings.images, seed) for name in models},
    }
    few = [kind for kind, images in patches.items() if len(images) < FEWEST]
    for kind in few:
        say(f"{len(patches.pop(kind))} {kind} patches are too few to see whether real and generated ones mix")
    if {"test", "train"}.intersection(few) or len(patches) == 2:
        return None
    small = {key: resize_patches(images, size) for key, images in patches.items()}
    return compare_images(
        independent=_features(judge.extractor.name, judge.extractor.features, small),
        image_encoder=image_encoder_features(study.run("encoders") / "model", small),
        neighbours=settings.neighbours,
        seed=seed,
        track=track,
    )


def some_generated(study: Study, name: str, most: int, seed: int) -> NDArray[np.uint8]:
    """Read one generated patch, that of the first noise, of at most so many spots."""
    import pandas as pd

    images = open_images(study.generated(name))
    index = pd.read_parquet(study.generated(name) / "index.parquet")
    first = np.flatnonzero(~index["spot"].duplicated().to_numpy())
    chosen = first[draw(len(first), most, seed)]
    return np.asarray(images.oindex[chosen], np.uint8)


def image_encoder_features(model_folder: Path, patches: dict[str, NDArray[np.uint8]]) -> PatchFeatures:
    """Embed patches with the phase-1 image encoder."""
    import torch

    from g2m_cli.device import compute_device
    from g2m_encoders import ContrastiveModel

    device = compute_device()
    model = ContrastiveModel.from_pretrained(model_folder).to(device)

    @torch.inference_mode()
    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), _BATCH):
            part = torch.from_numpy(images[start : start + _BATCH]).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
            parts.append(model.embed_image(part).cpu().numpy())
        return np.concatenate(parts)

    return _features(f"phase-1 image encoder {folder_id(model_folder.parent) or ''}".rstrip(), features, patches)


def _features(name: str, features: Any, patches: dict[str, NDArray[np.uint8]]) -> PatchFeatures:
    from g2m_eval.space.images import PatchFeatures

    found = {key: features(images) for key, images in track(patches.items(), f"features: {name}", total=len(patches))}
    return PatchFeatures(network=name, test=found.pop("test"), train=found.pop("train"), generated=found)


def draw(total: int, most: int, seed: int) -> NDArray[np.int64]:
    """Draw at most so many of all rows, in order."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
