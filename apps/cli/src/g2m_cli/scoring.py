"""A study's numbers: what metrics.json holds, computed from its artefacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.generation import read_generated
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from g2m_data import PairedDataset
    from g2m_eval import EvaluationSettings, GeneratorEvaluation, SmallExtractor

_BATCH = 256
_PURITY = 0.9


@dataclass(frozen=True, kw_only=True)
class TestSpots:
    """Test spots with their real patches and, on a phantom, their truth (rows aligned)."""

    dataset: PairedDataset
    patches: NDArray[np.uint8]
    truth: pd.DataFrame | None

    @property
    def samples(self) -> NDArray[np.str_]:
        """Section of each spot."""
        return self.dataset.obs["sample"].to_numpy().astype(str)


def load_test_spots(dataset_folder: Path) -> TestSpots:
    """Read the test sections' spots."""
    from g2m_data import open_dataset

    dataset = open_dataset(dataset_folder, split="test")
    return TestSpots(dataset=dataset, patches=dataset.patches(slice(None)), truth=dataset.truth())


def describe_dataset(dataset: PairedDataset) -> dict[str, Any]:
    """Give ``dataset.*`` of metrics.json."""
    table = dataset.describe().samples
    return {
        "genes": len(dataset.genes),
        "samples": {
            str(sample): {
                "platform": row["platform"],
                "split": row["split"],
                "spots": int(row["pairs"]),
                "mpp": float(row["mpp"]),
                "patch_um": float(row["patch_um"]),
            }
            for sample, row in table.iterrows()
        },
    }


def score_encoders(model_folder: Path, spots: TestSpots) -> dict[str, float]:
    """Give ``encoders.*``: retrieval within each test section in both directions; loss, its chance and its floor."""
    import torch

    from g2m_cli.pairs import TrainingPairs
    from g2m_encoders import ContrastiveModel, ContrastiveTask

    model = ContrastiveModel.from_pretrained(model_folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs = TrainingPairs(spots.dataset, device, expression=True)
    rows = np.arange(len(pairs))
    batches = (
        pairs.batch(rows[start : start + _BATCH], rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)
    )
    return ContrastiveTask(model.settings, model.to(device)).evaluate(batches)


@dataclass(frozen=True, kw_only=True)
class GeneratorScores:
    """A generator's evaluation, and the images it was made on."""

    evaluation: GeneratorEvaluation
    generated: NDArray[np.uint8]
    extractor: SmallExtractor


def score_generator(
    study: Study, name: str, spots: TestSpots, settings: EvaluationSettings, *, seed: int
) -> GeneratorScores:
    """Score the images of ``generated/<name>`` and ``generated/<name>-shuffled`` against the real test patches.

    The metrics' own network is trained here, on real training patches alone, and saved beside the artefacts.
    """
    import pandas as pd

    from g2m_data import open_dataset
    from g2m_eval import evaluate_generator, train_extractor

    generated, index, _ = read_generated(study.generated(name))
    shuffled, _, _ = read_generated(study.generated(f"{name}-shuffled"))
    owner = spots.dataset.obs.index.get_indexer(pd.Index(index["spot"]))
    train = open_dataset(study.dataset, split="train")
    rows, regions = training_patches(train, settings.train_patches, seed)
    patches = train.patches(rows)
    extractor = train_extractor(
        patches, regions, resolution=generated.shape[1], seed=seed, steps=settings.extractor_steps, track=track
    )
    say(f"metrics use {extractor.name}")
    evaluation = evaluate_generator(
        extractor=extractor,
        train=patches,
        test=spots.patches,
        generated=generated,
        shuffled=shuffled,
        patch_um=[
            float(row["patch_um"]) for row in spots.dataset.manifest["samples"].values() if row["split"] == "test"
        ],
        samples=spots.samples,
        spots=owner,
        train_regions=regions,
        truth=spots.truth,
        factors=spots.dataset.truth_factors(),
        permutations=settings.permutations,
        kernel_subsets=settings.kernel_subsets,
        seed=seed,
    )
    return GeneratorScores(evaluation=evaluation, generated=generated, extractor=extractor)


def training_patches(
    train: PairedDataset, most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.object_] | None]:
    """Draw training pairs for the metrics' network, and on a phantom the region of each (None where it is mixed)."""
    rows = np.arange(len(train))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    truth = train.truth()
    if truth is None:
        return rows, None
    chosen = truth.iloc[rows]
    regions = chosen["region"].to_numpy(dtype=object)
    regions[(chosen["purity"] < _PURITY).to_numpy()] = None
    return rows, regions
