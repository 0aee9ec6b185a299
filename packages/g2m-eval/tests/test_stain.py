import json

import numpy as np
import pytest
from skimage.color import lab2rgb

from g2m_eval.errors import InputError
from g2m_eval.report.markup import plain_values
from g2m_eval.stain import evaluate_stain, measure_colour, stain_vectors

STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])  # haematoxylin, eosin
TEST, TRAIN = np.array([60.0, 25.0, -8.0]), np.array([55.0, 35.0, -16.0])
SECTIONS = ["s1"] * 40 + ["s2"] * 40


def paint(lab, n, seed=0, spread=0.6):
    """Patches of one colour, each a little off."""
    colours = np.asarray(lab) + np.random.default_rng(seed).normal(0, spread, (n, 3))
    rgb = np.rint(255 * lab2rgb(colours[:, None, None])).astype(np.uint8)
    return np.broadcast_to(rgb, (n, 32, 32, 3)).copy()


@pytest.mark.parametrize("position", [0.0, 0.4, 1.0])
def test_a_known_shift_is_found(position):
    generated = paint(TEST + position * (TRAIN - TEST), 80, seed=3)
    found = evaluate_stain(
        train=measure_colour(paint(TRAIN, 60, seed=1)), test=measure_colour(paint(TEST, 80, seed=2)),
        generated=measure_colour(generated), samples=SECTIONS, times=200,
    )  # fmt: skip
    value = found.metrics["position"]
    assert value["value"] == pytest.approx(position, abs=0.05)
    assert value["low"] < value["value"] < value["high"]
    assert value["high"] - value["low"] < 0.1
    length = np.linalg.norm(TRAIN - TEST)
    assert found.metrics["delta_e_train_test"] == pytest.approx(length, rel=0.05)
    assert found.metrics["delta_e_generated_test"] == pytest.approx(position * length, abs=0.5)
    assert found.note == ""
    json.dumps(plain_values(found.metrics), allow_nan=False)


def test_a_shift_aside_is_no_position_but_a_distance():
    aside = np.cross(TRAIN - TEST, [1.0, 0, 0])
    found = evaluate_stain(
        train=measure_colour(paint(TRAIN, 60, seed=1)), test=measure_colour(paint(TEST, 80, seed=2)),
        generated=measure_colour(paint(TEST + 5 * aside / np.linalg.norm(aside), 80, seed=3)), samples=SECTIONS,
    )  # fmt: skip
    assert abs(found.metrics["position"]["value"]) < 0.05
    assert found.metrics["delta_e_generated_test"] == pytest.approx(5, abs=0.3)


def test_where_training_and_test_hardly_differ_there_is_no_position():
    near = measure_colour(paint(TEST + np.array([1.0, 0, 0]), 60, seed=1))
    both = measure_colour(np.concatenate([paint(TEST, 40, seed=2), paint(TRAIN, 40, seed=4)]))
    found = evaluate_stain(train=near, test=both, generated=both, samples=SECTIONS, times=50)
    assert np.isnan(found.metrics["sections"]["s1"]["position"]["value"])
    assert found.metrics["sections"]["s2"]["position"]["value"] == pytest.approx(0)
    assert found.metrics["position"]["value"] == pytest.approx(0)
    assert "s1" in found.note
    assert "s2" not in found.note
    alone = evaluate_stain(train=near, test=near, generated=near, samples=["s1"] * 60, times=50)
    assert np.isnan(alone.metrics["position"]["value"])
    assert json.loads(json.dumps(plain_values(alone.metrics)))["position"]["low"] is None


def test_generated_patches_are_compared_with_their_own_spots():
    """Spots without an image, of another colour, are no part of the comparison; several images of one are."""
    test = measure_colour(np.concatenate([paint(TEST, 40, seed=2), paint(TRAIN, 40, seed=4)]))
    found = evaluate_stain(
        train=measure_colour(paint(TRAIN, 60, seed=1)), test=test, generated=measure_colour(paint(TEST, 80, seed=3)),
        samples=["s1"] * 80, spots=np.repeat(np.arange(40), 2), times=50,
    )  # fmt: skip
    assert abs(found.metrics["position"]["value"]) < 0.05


def test_glass_and_lumina_do_not_count(draw_patch):
    tissue, holed = draw_patch(), draw_patch(holes=[(20, 20, 14), (42, 42, 9)])
    found = measure_colour(np.stack([tissue, holed, np.full_like(tissue, 245)]))
    np.testing.assert_allclose(found.lab[0], found.lab[1], atol=1.5)
    assert np.isnan(found.lab[2]).all()
    assert np.isnan(found.density[2]).all()


def test_stain_vectors_are_those_that_were_mixed():
    random = np.random.default_rng(0)
    share, depth = random.random(4000), random.uniform(0.5, 1.2, (4000, 1))
    density = depth * np.stack([share, 1 - share], axis=1) @ STAINS
    pixels = np.rint(240 * np.exp(-density) - 1).astype(np.uint8)
    found = stain_vectors(pixels)
    for vector, expected in zip(found, STAINS, strict=True):
        assert vector @ expected / np.linalg.norm(expected) > 0.998
    assert np.isnan(stain_vectors(pixels[:2])).all()


def test_what_does_not_belong_together_is_refused():
    colour = measure_colour(paint(TEST, 4))
    with pytest.raises(InputError, match="a section for each test patch"):
        evaluate_stain(train=colour, test=colour, generated=colour, samples=["a"])
    glass = measure_colour(np.full((4, 16, 16, 3), 250, np.uint8))
    with pytest.raises(InputError, match="no training patch shows any tissue"):
        evaluate_stain(train=glass, test=colour, generated=colour, samples=["a"] * 4)
