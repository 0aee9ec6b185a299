"""A study's numbers: what metrics.json holds, computed from its artefacts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.files import write_json
from g2m_cli.generation import read_generated
from g2m_cli.provenance import fingerprint
from g2m_cli.study import Study, dataset_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_cli.evaluation.yardsticks import ConditionScores, Yardsticks
    from g2m_data import PairedDataset
    from g2m_eval import EvaluationSettings, GeneratorEvaluation
    from g2m_eval.extractors.remembering import RememberingExtractor

_BATCH = 256
_PURITY = 0.9


@dataclass(frozen=True, kw_only=True)
class TestSpots:
    """Test spots with their real patches and, on a phantom, their truth (rows aligned)."""

    dataset: PairedDataset
    """All test sections."""
    obs: pd.DataFrame
    patches: NDArray[np.uint8]
    truth: pd.DataFrame | None

    def __len__(self) -> int:
        return len(self.obs)

    @property
    def samples(self) -> NDArray[np.str_]:
        """Section of each spot."""
        return self.obs["sample"].to_numpy().astype(str)

    @property
    def regions(self) -> list[str] | None:
        """Region of each spot, where it is known."""
        return None if self.truth is None else self.truth["region"].astype(str).tolist()

    @property
    def patch_um(self) -> list[float]:
        """Width of the patches of each test section."""
        entries = self.dataset.manifest["samples"].values()
        return [float(entry["patch_um"]) for entry in entries if entry["split"] == "test"]

    def find(self, names: pd.Series[str], source: Path) -> NDArray[np.int64]:
        """Give the row of each named spot.

        Raises
        ------
        InputError
            If one is no test spot.
        """
        import pandas as pd

        rows = self.obs.index.get_indexer(pd.Index(names))
        if (rows < 0).any():
            raise InputError(f"{source}: spot {names.iloc[int(np.argmax(rows < 0))]} is no test spot of this dataset")
        return np.asarray(rows, np.int64)

    def only(self, rows: NDArray[np.int64]) -> TestSpots:
        """Give some of the spots."""
        if len(rows) == len(self) and (rows == np.arange(len(self))).all():
            return self
        return TestSpots(
            dataset=self.dataset,
            obs=self.obs.iloc[rows],
            patches=self.patches[rows],
            truth=None if self.truth is None else self.truth.iloc[rows],
        )


def load_test_spots(dataset_folder: Path) -> TestSpots:
    """Read the test sections' spots."""
    from g2m_data import open_dataset

    dataset = open_dataset(dataset_folder, split="test")
    return TestSpots(dataset=dataset, obs=dataset.obs, patches=dataset.patches(slice(None)), truth=dataset.truth())


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
    from g2m_cli.device import compute_device
    from g2m_cli.pairs import TrainingPairs
    from g2m_encoders import ContrastiveModel, ContrastiveTask

    model = ContrastiveModel.from_pretrained(model_folder)
    device = compute_device()
    pairs = TrainingPairs(spots.dataset, device, expression=True)
    rows = np.arange(len(pairs))
    batches = (
        pairs.batch(rows[start : start + _BATCH], rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)
    )
    return ContrastiveTask(model.settings, model.to(device)).evaluate(batches)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What every generator of a study is scored by: one network, trained on one draw of real training patches."""

    extractor: RememberingExtractor
    dataset: PairedDataset
    """The training sections."""
    rows: NDArray[np.int64]
    """Which of their pairs were drawn."""
    regions: NDArray[np.object_] | None
    """Region of each, None where it is mixed; on a phantom."""

    @cached_property
    def patches(self) -> NDArray[np.uint8]:
        """Those that were drawn; read when the first asks for them."""
        return self.dataset.patches(self.rows)


def open_judge(study: Study, resolution: int, settings: EvaluationSettings, *, seed: int) -> Judge:
    """Train the metrics' own network, on real training patches alone, or open it as it was kept when last trained so.

    Every command that judges patches of a study comes here, so that all of them speak of the same network.

    Parameters
    ----------
    study
        Whose training sections; keeps the network below ``runs/extractors``.
    resolution
        Pixels along the side of what the network sees: the smallest generated images'.
    settings
        Steps, and patches to draw.
    seed
        Of the draw and of the network.
    """
    from g2m_data import open_dataset
    from g2m_eval import InputError as Unreadable
    from g2m_eval import SmallExtractor, train_extractor
    from g2m_eval.extractors.remembering import RememberingExtractor

    train = open_dataset(study.dataset, split="train")
    rows, regions = training_patches(train, settings.train_patches, seed)
    asked = {
        "dataset": dataset_id(study.dataset),
        "resolution": resolution,
        "extractor_steps": settings.extractor_steps,
        "train_patches": settings.train_patches,
        "seed": seed,
    }
    note = study.run("extractors") / f"{fingerprint(asked)}.json"
    try:
        extractor = SmallExtractor.load(study.run("extractors") / json.loads(note.read_text())["folder"])
    except (OSError, KeyError, ValueError, Unreadable):  # never trained so, or one of the two was deleted since
        extractor = train_extractor(
            train.patches(rows), regions, resolution=resolution, seed=seed, steps=settings.extractor_steps, track=track
        )
        folder = study.run("extractors") / extractor.name.replace(" ", "-")
        if not folder.exists():  # the name tells the weights: what is there already is the same
            extractor.save(folder)
        write_json(note, {**asked, "folder": folder.name})
    say(f"metrics use {extractor.name}")
    return Judge(extractor=RememberingExtractor(extractor), dataset=train, rows=rows, regions=regions)


@dataclass(frozen=True, kw_only=True)
class GeneratorScores:
    """A generator's evaluation, and one image for each of the spots that it was made on."""

    evaluation: GeneratorEvaluation
    conditions: ConditionScores
    spots: TestSpots
    generated: NDArray[np.uint8]
    metrics: dict[str, Any]
    """The entry ``models.<name>``."""


def score_generator(
    study: Study,
    name: str,
    spots: TestSpots,
    judge: Judge,
    yardsticks: Yardsticks,
    settings: EvaluationSettings,
    *,
    seed: int,
) -> GeneratorScores:
    """Score the images of ``generated/<name>`` and ``generated/<name>-shuffled`` against the real test patches.

    Only spots that were drawn count, on both sides.
    """
    generated, index, record = read_generated(study.generated(name))
    shuffled, shuffled_index, _ = read_generated(study.generated(f"{name}-shuffled"))
    spot = spots.find(index["spot"], study.generated(name))
    rows, first, owner = np.unique(spot, return_index=True, return_inverse=True)
    drawn = spots.only(rows)
    evaluation = compare_with_real(
        drawn, judge, settings, generated=generated, shuffled=shuffled, owner=owner, seed=seed
    )
    floor = spots.find(shuffled_index["spot"], study.generated(f"{name}-shuffled"))
    conditions = yardsticks.score(generated, shuffled, spot, floor)
    timing = record.get("timing", {})  # of images drawn by an older version it is not known
    return GeneratorScores(
        evaluation=evaluation,
        conditions=conditions,
        spots=drawn,
        generated=generated[first],
        metrics=evaluation.metrics
        | conditions.metrics
        | {"seconds_per_1000_images": timing.get("seconds_per_1000_images")},
    )


def compare_with_real(
    drawn: TestSpots,
    judge: Judge,
    settings: EvaluationSettings,
    *,
    generated: NDArray[np.uint8],
    shuffled: NDArray[np.uint8],
    owner: NDArray[np.int64] | None = None,
    seed: int,
) -> GeneratorEvaluation:
    """Compare generated patches with the real ones of the spots that were drawn.

    ``owner`` is the row of ``drawn`` that each generated patch belongs to; by default they correspond one to one.
    """
    from g2m_eval import evaluate_generator

    return evaluate_generator(
        extractor=judge.extractor,
        train=judge.patches,
        test=drawn.patches,
        generated=generated,
        shuffled=shuffled,
        patch_um=drawn.patch_um,
        samples=drawn.samples,
        spots=owner,
        train_regions=judge.regions,
        truth=drawn.truth,
        factors=drawn.dataset.truth_factors(),
        permutations=settings.permutations,
        kernel_subsets=settings.kernel_subsets,
        seed=seed,
    )


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
