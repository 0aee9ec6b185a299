"""Real patches are measured once for all generators, and second looks stay inside their slide."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from g2m_cli.evaluation import yardsticks
from g2m_cli.evaluation.scoring import Judge, TestSpots
from g2m_cli.evaluation.yardsticks import Yardsticks, second_looks
from g2m_eval import EvaluationSettings

SIDE, GENES, SPOTS = 16, 12, 36


class Dataset:
    """Pairs on a slide whose redness grows from left to right; genes follow it."""

    patch_px = SIDE
    genes = tuple(f"g{number}" for number in range(GENES))

    def __init__(self, sample: str, seed: int) -> None:
        random = np.random.default_rng(seed)
        red = np.linspace(60, 220, 200)[None, :] + random.normal(0, 8, (200, 200))
        self.slides = {sample: np.stack([red, 90 + 0 * red, 120 + 0 * red], axis=2).clip(0, 255).astype(np.uint8)}
        self.samples = [sample]
        self.corners = random.integers(0, 200 - SIDE + 1, (SPOTS * 4, 2)).astype(np.int32)
        names = [f"{sample}:{number}" for number in range(len(self.corners))]
        self.obs = pd.DataFrame({"sample": pd.Categorical([sample] * len(names))}, index=names)
        self.manifest = {"samples": {sample: {"split": "test", "patch_um": 55.0}}}
        self.noise = random.normal(0, 0.2, (len(self.corners), GENES)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.corners)

    def slide(self, sample):
        return self.slides[sample]

    def patches(self, rows):
        slide = self.slides[self.samples[0]]
        return np.stack([slide[y : y + SIDE, x : x + SIDE] for y, x in self.corners[rows]])

    def expression(self, rows):
        return (self.corners[rows, 1:] / 50 + self.noise[rows]).astype(np.float32)

    def truth(self):
        return None


class MeanColour:
    """Stands in for the network."""

    name = "mean colour"
    calls = 0

    def features(self, images):
        type(self).calls += 1
        halves = images.reshape(len(images), 2, SIDE // 2, SIDE, 3).mean(axis=(2, 3))
        return halves.reshape(len(images), 6).astype(np.float32)


@pytest.fixture
def study():
    train, test = Dataset("train", 0), Dataset("test", 1)
    rows = np.arange(len(test))
    spots = TestSpots(dataset=test, obs=test.obs, patches=test.patches(rows), truth=None)
    judge = Judge(extractor=MeanColour(), dataset=train, rows=rows, regions=None)
    settings = EvaluationSettings(bootstrap=50, memorisation_queries=40)
    return Yardsticks(spots, judge, settings, seed=0), spots


def test_second_looks_share_three_quarters_and_never_leave_the_slide():
    slide = np.arange(40 * 40 * 3).reshape(40, 40, 3).astype(np.uint8)
    dataset = SimpleNamespace(
        patch_px=16, corners=np.array([[0, 0], [24, 24]], np.int32), samples=["s"], slide=lambda sample: slide,
        obs=pd.DataFrame({"sample": ["s", "s"]}), __len__=None,
    )  # fmt: skip
    dataset = type("Pairs", (), {**vars(dataset), "__len__": lambda self: 2, "slide": lambda self, sample: slide})()
    found = second_looks(dataset)
    np.testing.assert_array_equal(found[0], slide[0:16, 4:20])
    np.testing.assert_array_equal(found[1], slide[24:40, 20:36])  # no room to the right


def test_real_patches_are_measured_once_for_all_generators(study):
    measured, spots = study
    owner = np.arange(len(spots))
    order = np.random.default_rng(2).permutation(len(spots))
    first = measured.score(spots.patches, spots.patches[order], owner, owner)
    before = MeanColour.calls
    again = measured.score(spots.patches, spots.patches[order], owner, owner)
    assert MeanColour.calls - before == 2 + 8  # generated, shuffled, and eight views of the generated
    assert first.metrics["fidelity"] == again.metrics["fidelity"]
    assert set(first.metrics) == {"fidelity", "memorisation", "stain"}
    read = first.metrics["fidelity"]["transcriptome"]
    assert read["share"]["value"] == pytest.approx(1)  # the very same patches
    assert read["generated"]["low"] > read["shuffled"]["high"]


def test_images_of_some_spots_are_scored_on_those(study):
    measured, spots = study
    some = np.arange(0, len(spots), 4)
    found = measured.score(spots.patches[some], spots.patches[some[::-1]], some, some)
    assert found.metrics["fidelity"]["protocol"]["spots"] == len(some)
    assert found.fidelity.scores["retrieval"]["generated"].value == 1.0
    assert yardsticks.Yardstick in {type(value) for value in measured._known.values()}
