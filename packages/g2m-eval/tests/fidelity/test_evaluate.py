import json

import numpy as np
import pandas as pd
import pytest

from g2m_eval.blocks import spatial_blocks
from g2m_eval.errors import InputError
from g2m_eval.fidelity.evaluate import KINDS, evaluate_fidelity
from g2m_eval.fidelity.reference import measure_reference
from g2m_eval.report.markup import plain_values


class Coarse:
    """A stand-in for the network: features are coarse averages, regions follow the number of dark pixels."""

    name = "test-extractor coarse"

    def features(self, images):
        small = images.reshape(len(images), 4, images.shape[1] // 4, 4, images.shape[2] // 4, 3)
        return (small.mean(axis=(2, 4)).reshape(len(images), -1) / 255).astype(np.float32)

    def predict(self, images):
        return np.where((images[..., 0] < 120).mean(axis=(1, 2)) > 0.05, "many", "few")


@pytest.fixture(scope="module")
def study(draw_patch):
    """Spots whose number of nuclei, their size and eosin are told by 30 genes; real patches also differ in places."""
    random = np.random.default_rng(0)

    def draw(state, seed, size=32, shift=0.0):
        many, eosin, radius = state
        places = np.random.default_rng(seed).uniform(0, 70, (int(20 * many) + 2, 2)) - [shift, 0]
        return draw_patch([tuple(p) for p in places], size=size, eosin=0.3 + 0.3 * eosin, nucleus_um=2 + radius)

    def express(state):
        genes = np.repeat(np.stack(state, axis=1), 10, axis=1)
        noise = random.standard_normal((len(genes), 35))
        return np.concatenate([genes + 0.2 * noise[:, :30], noise[:, 30:]], axis=1).astype(np.float32)

    def states(n):
        return (random.random(n) < 0.5).astype(float) + 0.2 * random.random(n), random.random(n), random.random(n)

    train, test = states(120), states(60)
    order = random.permutation(60)
    rows = list(zip(*test, strict=True))
    expression = express(test)
    blocks = spatial_blocks(random.uniform(0, 100, (120, 2)), 1.0, per_side=2)
    learned = express(train)
    reference = measure_reference(
        extractor=Coarse(), classifier=Coarse(), patch_um=55.0, resolution=32,
        train_features=Coarse().features(
            np.stack([draw(s, 500 + i) for i, s in enumerate(zip(*train, strict=True))])
        ),
        train_expression=lambda some: learned[some], train_blocks=blocks,
        real=np.stack([draw(s, i) for i, s in enumerate(rows)]),
        again=np.stack([draw(s, i, shift=5.0) for i, s in enumerate(rows)]),
    )  # fmt: skip
    arguments = {
        "generated": np.stack([draw(s, 900 + i) for i, s in enumerate(rows)]),
        "shuffled": np.stack([draw(rows[j], 2000 + i) for i, j in enumerate(order)]),
        "expression": lambda some: expression[some],
        "genes": [f"g{i}" for i in range(35)],
        "samples": np.repeat(["s1", "s2"], 30),
        "truth": pd.DataFrame({"region": np.where(test[0] >= 1, "many", "few"), "purity": 1.0}),
        "times": 200,
    }
    return reference, arguments


@pytest.fixture(scope="module")
def evaluation(study):
    return evaluate_fidelity(study[0], **study[1])


def test_a_generator_that_follows_its_conditions_lies_between_ceiling_and_floor(evaluation):
    assert set(evaluation.scores) == {"retrieval", "region_accuracy", "nuclei_count", "nuclei_size", "transcriptome"}
    for metric in ("nuclei_count", "transcriptome", "region_accuracy"):
        found = evaluation.scores[metric]
        assert found["generated"].low > found["shuffled"].high, metric
    for metric in ("retrieval", "nuclei_count"):
        found = evaluation.scores[metric]
        assert found["real"].low > found["generated"].high, metric


def test_metrics_hold_an_interval_for_every_kind(evaluation):
    metrics = json.loads(json.dumps(plain_values(evaluation.metrics), allow_nan=False))
    for metric in evaluation.scores:
        for kind in KINDS:
            value = metrics[metric][kind]
            assert value["low"] <= value["value"] <= value["high"]
    assert metrics["retrieval"]["chance"] == pytest.approx(5 / 30)
    assert 0.3 < metrics["transcriptome"]["share"]["value"] <= 1.2
    assert metrics["protocol"]["extractor"] == "test-extractor coarse"
    assert evaluation.table["metric"].tolist() == list(evaluation.scores)


def test_genes_without_an_image_do_not_count(evaluation):
    assert set(evaluation.genes["gene"]) <= {f"g{i}" for i in range(30)}
    assert len(evaluation.genes) == evaluation.metrics["transcriptome"]["genes"] >= 10


def test_a_generator_that_ignores_its_conditions_is_seen_to_do_so(study):
    blind = evaluate_fidelity(study[0], **(study[1] | {"generated": study[1]["shuffled"]}))
    for metric, found in blind.scores.items():
        assert found["generated"].overlaps(found["shuffled"]), metric
    assert blind.scores["retrieval"]["generated"].low <= 5 / 30


def test_two_equal_images_a_spot_score_as_one_does(study):
    reference, arguments = study
    twice = evaluate_fidelity(
        reference,
        **arguments
        | {
            "generated": np.repeat(arguments["generated"], 2, axis=0),
            "spots": np.repeat(np.arange(60), 2),
            "shuffled_spots": np.arange(60),
        },
    )
    once = evaluate_fidelity(reference, **arguments)
    for metric in once.scores:
        assert twice.scores[metric]["generated"].value == pytest.approx(
            once.scores[metric]["generated"].value, abs=1e-3
        ), metric


def test_spots_without_an_image_are_found_among_but_not_scored(study):
    reference, arguments = study
    some = np.arange(0, 60, 3)
    part = arguments | {"generated": arguments["generated"][some], "shuffled": arguments["shuffled"][some]}
    found = evaluate_fidelity(reference, **part, spots=some)
    assert found.metrics["protocol"]["spots"] == 20
    assert found.metrics["retrieval"]["chance"] == pytest.approx(5 / 30)


def test_mean_counts_say_how_far_generated_patches_are_off(study):
    reference, arguments = study
    empty = np.full_like(arguments["generated"], 230)
    found = evaluate_fidelity(reference, **(arguments | {"generated": empty}))
    assert found.metrics["nuclei"]["relative_error"]["value"] == -1
    assert np.isnan(found.scores["nuclei_size"]["generated"].value)


def test_arrays_that_do_not_belong_together_are_refused(study):
    reference, arguments = study
    with pytest.raises(InputError, match="each of 60 test spots"):
        evaluate_fidelity(reference, **(arguments | {"samples": ["a"]}))
    with pytest.raises(InputError, match="test spot of each generated patch"):
        evaluate_fidelity(reference, **arguments, spots=np.array([0, 60]))
    small = np.zeros((60, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="measured at 32 px"):
        evaluate_fidelity(reference, **(arguments | {"generated": small, "shuffled": small}))
