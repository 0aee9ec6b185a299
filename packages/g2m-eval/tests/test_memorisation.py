import json

import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.memorisation import SHOWN, evaluate_memorisation, measure_yardstick
from g2m_eval.report.markup import plain_values


class Pooled:
    """Features that turns and mirroring change."""

    name = "test-extractor pooled"

    def features(self, images):
        small = images.reshape(len(images), 8, 2, 8, 2, 3).mean(axis=(2, 4))
        return small.reshape(len(images), -1).astype(np.float32)


def draw(n, seed):
    """Fresh patches of one kind of tissue: smooth noise, 16 px."""
    coarse = np.random.default_rng(seed).integers(60, 220, (n, 4, 4, 3))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def yardstick():
    train = draw(600, 0)
    places = np.random.default_rng(1).uniform(0, 2000, (600, 2))
    return measure_yardstick(
        extractor=Pooled(), train=train, features=Pooled().features(train), xy=places, width=16.0,
        samples=["hd"] * 600, test=draw(150, 2), resolution=16, queries=400,
    )  # fmt: skip


def test_fresh_draws_are_as_far_as_held_out_patches(yardstick):
    metrics = evaluate_memorisation(yardstick, draw(400, 3), times=200).metrics
    share, auc = metrics["closer_than_held_out"], metrics["auc"]
    assert share["low"] <= 0.05 <= share["high"]
    assert share["high"] < 0.12
    assert auc["low"] <= 0.5 <= auc["high"]
    assert metrics["closest_pixel_difference"]["generated"] > 15
    json.dumps(plain_values(metrics), allow_nan=False)


def test_copies_are_caught_also_when_turned_mirrored_and_noisy(yardstick):
    train = np.asarray(yardstick.train)[:200].astype(float)
    noisy = train + np.random.default_rng(5).normal(0, 4, train.shape)
    copies = np.rot90(noisy, 3, axes=(1, 2))[:, :, ::-1].clip(0, 255).astype(np.uint8)
    found = evaluate_memorisation(yardstick, copies, times=100)
    assert found.metrics["closer_than_held_out"]["value"] == 1.0
    assert found.metrics["auc"]["value"] == 1.0
    pairs = found.pairs["generated"]
    assert len(pairs.patches) == SHOWN
    assert pairs.difference.max() < 8  # they are shown the way they match
    assert (np.diff(pairs.distance) >= 0).all()


def test_a_tenth_of_copies_is_a_tenth(yardstick):
    mixed = draw(400, 7)
    mixed[::10] = np.asarray(yardstick.train)[:40]
    share = evaluate_memorisation(yardstick, mixed, times=100).metrics["closer_than_held_out"]["value"]
    assert 0.1 <= share < 0.2


def test_nothing_near_a_held_out_patch_is_its_neighbour():
    whole = draw(1, 9)[0].repeat(20, axis=1)
    train = np.stack([whole[:, x : x + 16] for x in range(0, 300, 2)])  # neighbours overlap by 14 of 16 px
    xy = np.column_stack([np.arange(0, 300, 2.0), np.zeros(150)])
    found = measure_yardstick(
        extractor=Pooled(), train=train, features=Pooled().features(train), xy=xy, width=16.0,
        samples=["hd"] * 150, test=draw(5, 1), resolution=16, queries=150,
    )  # fmt: skip
    apart = np.abs(xy[:, 0] - xy[found.held_out.row, 0])
    assert apart.min() >= 32


def test_patches_of_another_slide_may_lie_at_the_same_place():
    train = draw(20, 0)
    found = measure_yardstick(
        extractor=Pooled(), train=train, features=Pooled().features(train), xy=np.zeros((20, 2)), width=16.0,
        samples=["a"] * 10 + ["b"] * 10, test=train[:3], resolution=16, queries=20,
    )  # fmt: skip
    assert ((np.arange(20) < 10) != (found.held_out.row < 10)).all()
    assert found.test.distance == pytest.approx(np.zeros(3), abs=1e-2)


def test_what_does_not_belong_together_is_refused(yardstick):
    train = draw(4, 0)
    arguments = {
        "extractor": Pooled(), "train": train, "features": Pooled().features(train), "xy": np.zeros((4, 2)),
        "width": 16.0, "samples": ["a"] * 4, "test": train, "resolution": 16,
    }  # fmt: skip
    with pytest.raises(InputError, match="no other at least 2 widths away"):
        measure_yardstick(**arguments)
    with pytest.raises(InputError, match="a section for each training patch"):
        measure_yardstick(**(arguments | {"samples": ["a"]}))
    with pytest.raises(InputError, match="one or more generated"):
        evaluate_memorisation(yardstick, train[:0])
