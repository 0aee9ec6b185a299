import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from g2m_eval.errors import InputError
from g2m_eval.fidelity.regions import MeanColourClassifier, mean_colour, score_regions


def test_balanced_accuracy_agrees_with_sklearn_on_unequal_regions():
    random = np.random.default_rng(0)
    truth = random.choice(["a", "b", "c"], 400, p=[0.8, 0.15, 0.05])
    predicted = np.where(random.random(400) < 0.6, truth, random.choice(["a", "b", "c"], 400))
    scores = score_regions(truth, predicted)
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert scores.n == 400


def test_confusion_keeps_regions_that_are_only_predicted_out_of_the_mean():
    scores = score_regions(["x", "x", "y"], ["x", "z", "y"], order=["y", "x"])
    assert scores.regions == ("y", "x", "z")
    assert scores.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert scores.recall == {"y": 1.0, "x": 0.5}
    assert scores.balanced_accuracy == 0.75


def test_always_naming_the_largest_region_scores_chance():
    assert score_regions(["a"] * 90 + ["b"] * 10, ["a"] * 100).balanced_accuracy == 0.5


def test_mean_colour_tells_pale_from_dark_but_not_shapes(draw_patch):
    random = np.random.default_rng(0)

    def draw(kind, seed):
        spots = [tuple(random.uniform(5, 50, 2)) for _ in range(8 if kind != "many" else 32)]
        eosin = {"pale": 0.2, "dark": 0.7}.get(kind, 0.4) + random.normal(0, 0.05)
        return draw_patch(spots, size=32, eosin=eosin, nucleus_um=1.5 if kind == "many" else 3.0, seed=seed)

    kinds = np.array(["pale", "dark"] * 60)
    patches = np.stack([draw(k, i) for i, k in enumerate(kinds)])
    colours = mean_colour(patches)
    by_colour = MeanColourClassifier(colours[:80], kinds[:80])
    assert score_regions(kinds[80:], by_colour.predict(colours[80:])).balanced_accuracy > 0.95
    shapes = np.array(["few", "many"] * 60)
    same_colour = mean_colour(np.stack([draw(k, i) for i, k in enumerate(shapes)]))
    by_shape = MeanColourClassifier(same_colour[:80], shapes[:80])
    assert score_regions(shapes[80:], by_shape.predict(same_colour[80:])).balanced_accuracy < 0.8


def test_mean_colour_of_one_patch():
    patch = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    patch[0, 0, 0] = [100, 200, 40]
    assert mean_colour(patch).tolist() == [[25.0, 50.0, 10.0]]
    assert mean_colour(patch[:0]).shape == (0, 3)


def test_mean_colour_is_that_of_every_pixel():
    patches = np.random.default_rng(0).integers(0, 256, (5, 6, 9, 3), dtype=np.uint8)
    np.testing.assert_allclose(mean_colour(patches), patches.mean(axis=(1, 2)), rtol=1e-14)


def test_unusable_labels_are_refused():
    with pytest.raises(InputError):
        MeanColourClassifier(np.zeros((4, 3)), ["a"] * 4)
    with pytest.raises(InputError):
        score_regions(["a"], [])
