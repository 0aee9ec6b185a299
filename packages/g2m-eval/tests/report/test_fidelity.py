import json

import numpy as np
import pandas as pd
import pytest

from g2m_eval.fidelity.evaluate import FidelityEvaluation
from g2m_eval.intervals import Interval
from g2m_eval.memorisation import ClosestPairs, MemorisationEvaluation
from g2m_eval.report.fidelity import fidelity_section, memorisation_section, stain_section
from g2m_eval.report.page import write_report
from g2m_eval.stain import ColourProfile, evaluate_stain


def around(value):
    return Interval(value=value, low=value - 0.02, high=value + 0.02)


@pytest.fixture
def fidelity():
    scores = {"retrieval": {"real": around(0.9), "generated": around(0.4), "shuffled": around(0.06)}}
    genes = pd.DataFrame(
        {"gene": ["Umod", "Aqp2"], "held_out": 0.6, "real": 0.7, "generated": [0.3, 0.6], "shuffled": 0}
    )
    metrics = {
        "retrieval": {"chance": 0.0123},
        "transcriptome": {
            "share": around(0.82).to_dict(), "genes": 2, "least_held_out_r": 0.2, "training_pairs": 777,
        },
        "nuclei": {"relative_error": around(-0.1).to_dict()},
        "protocol": {
            "extractor": "net abc", "resolution": 64, "spots": 50, "generated": 100, "shuffled": 50, "resamples": 999,
        },
    }  # fmt: skip
    table = pd.DataFrame([{"metric": "retrieval", "real": "0.9", "generated": "0.4", "shuffled": "0.06"}])
    return FidelityEvaluation(metrics=metrics, scores=scores, table=table, genes=genes)


def memorisation(share):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    pair = ClosestPairs(patches=images, neighbours=images, distance=np.ones(2), difference=np.ones(2))
    kinds = {"generated": np.array([1.0, 2.0]), "held-out": np.array([2.0, 3.0]), "test": np.array([2.0, 4.0])}
    metrics = {
        "closer_than_held_out": around(share).to_dict(), "expected": 0.05, "auc": around(0.7).to_dict(),
        "auc_test": around(0.5).to_dict(), "threshold": 2.0, "extractor": "net abc", "resolution": 64,
        "n": {"generated": 2, "held_out": 2, "test": 2, "train": 12},
    }  # fmt: skip
    return MemorisationEvaluation(metrics=metrics, distances=kinds, pairs={"generated": pair, "held-out": pair})


def colour(lab, n=6):
    noise = np.random.default_rng(n).normal(0, 0.1, (n, 3))
    return ColourProfile(lab=np.asarray(lab) + noise, density=0.4 + noise[:, :2], vectors=np.eye(3)[:2])


def test_fidelity_says_what_was_compared_and_the_headline(fidelity):
    section = fidelity_section("gan", fidelity, label="GAN")
    assert "82 % (80 % to 84 %)" in section.text
    assert "chance 0.012" in section.text
    assert "777 real training pairs" in section.text
    assert "-10 %" in section.text
    for figure in section.figures[:1]:
        assert "net abc" in figure.caption
        assert "100 generated and 50 shuffled patches of 50 test spots" in figure.caption
    assert [figure.name for figure in section.figures] == ["gan-fidelity", "gan-genes"]
    assert section.tables[1].table["gene"].tolist() == ["Umod", "Aqp2"]


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "look at the pairs"), (0.05, "about as many"), (0.01, "nothing")])
def test_memorisation_draws_the_conclusion_its_interval_allows(share, verdict):
    section = memorisation_section("gan", memorisation(share), label="GAN")
    assert verdict in section.text
    assert "Nearest of 12 training patches" in section.figures[0].caption


def test_stain_gives_a_position_or_says_why_not():
    test, train = colour([60.0, 25.0, -8.0]), colour([50.0, 35.0, -8.0], 7)
    found = evaluate_stain(train=train, test=test, generated=train_like(train, 6), samples=["s1"] * 6, times=20)
    assert "lie at 1.0" in stain_section("gan", found, label="GAN").text
    same = evaluate_stain(train=test, test=test, generated=test, samples=["s1"] * 6, times=20)
    assert "no line to be on: s1 0.00" in stain_section("gan", same, label="GAN").text


def train_like(profile, n):
    return ColourProfile(lab=profile.lab[:n], density=profile.density[:n], vectors=profile.vectors)


def test_all_three_make_a_page(tmp_path, fidelity):
    test = colour([60.0, 25.0, -8.0])
    stain = evaluate_stain(train=colour([50.0, 35.0, -8.0], 7), test=test, generated=test, samples=["s1"] * 6, times=20)
    write_report(
        tmp_path / "r", title="x", metrics={"stain": stain.metrics},
        sections=[
            fidelity_section("gan", fidelity, label="GAN"), memorisation_section("gan", memorisation(0.1), label="GAN"),
            stain_section("gan", stain, label="GAN"),
        ],
    )  # fmt: skip
    assert (tmp_path / "r" / "gan-fidelity.csv").read_text().startswith("metric,real,generated,shuffled")
    assert json.loads((tmp_path / "r" / "metrics.json").read_text())["stain"]["position"]["value"] is not None
