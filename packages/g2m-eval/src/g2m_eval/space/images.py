"""Real and generated patches in the feature spaces of two networks: mixing, and layouts (paper, Figure D.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Float

from g2m_eval.errors import InputError
from g2m_eval.space import keys
from g2m_eval.space.layout import layout_of
from g2m_eval.space.mixing import NEIGHBOURS, mixing_score

REAL_TEST, REAL_TRAINING, GENERATED = "real test", "real training", "generated"


@dataclass(frozen=True, kw_only=True)
class PatchFeatures:
    """What one network makes of real and generated patches.

    Attributes
    ----------
    network
        Its name.
    test, train
        Features of real patches of test and of training sections.
    generated
        By model, features of generated patches.
    """

    network: str
    test: Float[np.ndarray, "test dim"]
    train: Float[np.ndarray, "train dim"]
    generated: dict[str, Float[np.ndarray, "_ dim"]]


@dataclass(frozen=True, kw_only=True)
class ImageSpace:
    """How real and generated patches lie to each other.

    Attributes
    ----------
    metrics
        ``clusters.mixing`` of ``metrics.json``: for "independent" and "image_encoder" the network's name and, by model,
        the score, that of real training with real test patches in the same number, and that number.
    adata
        A row a patch, keys as in `g2m_eval.space.keys`; written as it is, it is ``images.h5ad``.
    table
        The scores, a row a network and model.
    """

    metrics: dict[str, Any]
    adata: AnnData
    table: pd.DataFrame


def compare_images(
    *,
    independent: PatchFeatures,
    image_encoder: PatchFeatures,
    neighbours: int = 15,
    seed: int = 0,
    track: Callable[..., Any] = lambda items, **_: items,
) -> ImageSpace:
    """Measure how real and generated patches mix, and lay both out.

    Parameters
    ----------
    independent
        By the metrics' own network, which took no part in training any generator.
    image_encoder
        Of the same patches in the same order, by the phase-1 image encoder, which took part; the paper shows this one.
    neighbours
        Of the layouts.
    seed
        Of layouts and scores.
    track
        Passes a sequence through under a progress bar.

    Raises
    ------
    InputError
        The two networks saw different patches, or too few.
    """
    if _sizes(independent) != _sizes(image_encoder):
        raise InputError(
            f"two networks are compared on the same patches, got {_sizes(independent)} and {_sizes(image_encoder)}"
        )
    networks = {"independent": independent, "image_encoder": image_encoder}
    adata = AnnData(_stacked(independent), obs=_describe(independent))
    adata.obsm[keys.IMAGE_ENCODER] = _stacked(image_encoder)
    shown = (adata.obs[keys.KIND] != REAL_TRAINING).to_numpy()
    metrics: dict[str, Any] = {}
    rows = []
    for role in track(list(networks), description="real and generated patches"):
        features = networks[role]
        points = _stacked(features)
        layout = np.full((len(points), 2), np.nan, dtype=np.float32)
        layout[shown] = layout_of(points[shown], neighbours=neighbours, seed=seed)
        adata.obsm[keys.UMAP_INDEPENDENT if role == "independent" else keys.UMAP_IMAGE_ENCODER] = layout
        metrics[role] = {"network": features.network, "neighbours": NEIGHBOURS, "models": {}}
        for model, generated in features.generated.items():
            count = min(len(generated), len(features.test), len(features.train))
            score = mixing_score(features.test, _some(generated, count, seed), seed=seed)
            # the score depends on the number of patches: the reference has as many
            reference = mixing_score(features.test, _some(features.train, count, seed), seed=seed)
            metrics[role]["models"][model] = {
                "generated_vs_test": score.to_dict(), "train_vs_test": reference.to_dict(), "n": count,
            }  # fmt: skip
            rows.append(
                {
                    "network": features.network,
                    "took part in training": "yes" if role == "image_encoder" else "no",
                    "generator": model,
                    "mixing, generated with real test": score.value,
                    "low": score.low,
                    "high": score.high,
                    "mixing, real training with real test": reference.value,
                    "N of each kind": count,
                }
            )
    return ImageSpace(metrics=metrics, adata=adata, table=pd.DataFrame(rows))


def _sizes(features: PatchFeatures) -> dict[str, int]:
    of_models = {model: len(points) for model, points in features.generated.items()}
    return {REAL_TEST: len(features.test), REAL_TRAINING: len(features.train), **of_models}


def _stacked(features: PatchFeatures) -> Float[np.ndarray, "patch dim"]:
    return np.concatenate([features.test, features.train, *features.generated.values()]).astype(np.float32)


def _describe(features: PatchFeatures) -> pd.DataFrame:
    blocks = [(REAL_TEST, "", len(features.test)), (REAL_TRAINING, "", len(features.train))]
    blocks += [(GENERATED, model, len(points)) for model, points in features.generated.items()]
    lengths = [count for *_, count in blocks]
    return pd.DataFrame(
        {
            keys.KIND: pd.Categorical(np.repeat([kind for kind, *_ in blocks], lengths)),
            keys.MODEL: pd.Categorical(np.repeat([model for _, model, _ in blocks], lengths)),
        },
        index=[str(row) for row in range(sum(lengths))],
    )


def _some(points: Float[np.ndarray, "n dim"], count: int, seed: int) -> Float[np.ndarray, "count dim"]:
    chosen = np.random.default_rng(seed).choice(len(points), count, replace=False)
    return points[np.sort(chosen)]
