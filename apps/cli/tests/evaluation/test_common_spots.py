"""Generators drawn at different spots are compared at those they share."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from g2m_cli.evaluation import common_spots
from g2m_cli.evaluation.common_spots import score_at_common_spots
from g2m_cli.evaluation.scoring import TestSpots
from g2m_cli.study import Study
from g2m_eval import EvaluationSettings, evaluate_generator, frechet_distance
from g2m_eval.extractors.function import FunctionExtractor
from g2m_eval.report.comparison import compare_generators

NAMES = [f"s:{number}" for number in range(20)]


@pytest.fixture
def spots():
    random = np.random.default_rng(0)
    return TestSpots(
        dataset=SimpleNamespace(
            manifest={"samples": {"s": {"split": "test", "patch_um": 55.0}}}, truth_factors=lambda: None
        ),
        obs=pd.DataFrame({"sample": pd.Categorical(["s"] * 20)}, index=NAMES),
        patches=random.integers(60, 200, (20, 32, 32, 3), dtype=np.uint8),
        truth=None,
    )


@pytest.fixture
def judge():
    random = np.random.default_rng(1)
    extractor = FunctionExtractor("colours", lambda batch: batch.mean(axis=(1, 2)))
    return SimpleNamespace(
        extractor=extractor, patches=random.integers(60, 200, (50, 32, 32, 3), dtype=np.uint8), regions=None
    )


def scores(spots, judge, rows, seed):
    drawn = spots.only(np.asarray(rows))
    generated = np.random.default_rng(seed).integers(60, 200, (len(rows), 32, 32, 3), dtype=np.uint8)
    metrics = evaluate_generator(
        extractor=judge.extractor, train=judge.patches, test=drawn.patches, generated=generated, shuffled=generated,
        patch_um=55.0, samples=drawn.samples, permutations=9, kernel_subsets=2,
    ).metrics  # fmt: skip
    return SimpleNamespace(spots=drawn, generated=generated, metrics=metrics)


def test_the_generator_of_more_spots_is_scored_again_at_the_shared_ones(spots, judge, monkeypatch, tmp_path):
    few = [3, 4, 7, 8, 11, 15, 19]
    index = pd.DataFrame({"spot": NAMES})
    read = {"gan-shuffled": (np.zeros((20, 32, 32, 3), np.uint8), index, {})}
    monkeypatch.setattr(common_spots, "read_generated", lambda folder: read[folder.name])
    found = {"gan": scores(spots, judge, range(20), 2), "tissue-w1": scores(spots, judge, few, 3)}
    settings = EvaluationSettings(permutations=9, kernel_subsets=2)
    again = score_at_common_spots(Study(tmp_path), found, judge, settings, seed=0)
    assert list(again) == ["gan"]
    protocols = [entry["distances"][0]["protocol"] for entry in (again["gan"], found["tissue-w1"].metrics)]
    assert protocols[0] == protocols[1]  # the same real patches, and as many
    generated, real = (judge.extractor.features(patches[few]) for patches in (found["gan"].generated, spots.patches))
    expected = frechet_distance(generated, real)
    assert again["gan"]["distances"][0]["frechet"]["value"] == pytest.approx(expected)
    table = compare_generators(
        {"gan": found["gan"].metrics | {"at_common_spots": again["gan"]}, "tissue": found["tissue-w1"].metrics}
    )
    assert (table.loc[:1, "A: Fréchet distance"] != "–").all()
    assert table.loc[1, "C: Fréchet distance"] == "–"


def test_generators_of_the_same_spots_need_no_second_score(spots, judge, tmp_path):
    found = {name: scores(spots, judge, range(20), 2) for name in ("gan", "tissue-w1")}
    assert score_at_common_spots(Study(tmp_path), found, judge, EvaluationSettings(), seed=0) == {}
