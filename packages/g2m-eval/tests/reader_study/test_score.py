"""Scores against what was put in: guessing readers, readers of a known d', agreement as statsmodels has it."""

import json

import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as reference_kappa

from g2m_eval.errors import InputError
from g2m_eval.reader_study.layout import ANSWERS, KEY, open_study, read_key
from g2m_eval.reader_study.score import fleiss_kappa, score_study
from g2m_eval.reader_study.store import Answer, AnswerStore


def test_ten_readers_who_guess_are_not_told_from_guessing(make_study, simulate_readers):
    folder = make_study(n_images=50, readers=10, pixels=4)
    simulate_readers(folder, d_prime=0.0, seed=1)
    scores = score_study(folder, times=300)
    accuracy = scores.mean("accuracy")
    assert accuracy.low < 0.5 < accuracy.high
    assert accuracy.high - accuracy.low < 0.25
    assert scores.mean("d_prime").low < 0 < scores.mean("d_prime").high
    assert scores.pooled.low < 0.5 < scores.pooled.high
    assert abs(scores.kappa) < 0.1


def test_ten_readers_of_known_sensitivity_are_recovered(make_study, simulate_readers):
    folder = make_study(n_images=50, readers=10, pixels=4)
    simulate_readers(folder, d_prime=2.0, seed=1)
    scores = score_study(folder, times=300)
    d_prime = scores.mean("d_prime")
    assert d_prime.value == pytest.approx(2.0, abs=0.25)
    assert d_prime.low < 2.0 < d_prime.high
    assert scores.mean("accuracy").value == pytest.approx(0.841, abs=0.04)  # the normal distribution at d'/2
    assert scores.kappa == pytest.approx((2 * 0.841 - 1) ** 2, abs=0.08)


def answer_all(folder, reader, called):
    """``called``: truth -> share of images of it that are called generated, in the order of names."""
    study, key = open_study(folder), read_key(folder)["images"]
    person = list(study.orders)[reader]
    answers = []
    for truth, count in called.items():
        images = [image for image in study.images if key[image]["truth"] == truth]
        answers += [(image, "generated" if place < count else "real") for place, image in enumerate(images)]
    rows = [Answer(f"f{place:031x}", image, answer, 100 + place) for place, (image, answer) in enumerate(answers)]
    AnswerStore(folder / ANSWERS).save(person, rows)


def test_measures_of_known_answers(make_study):
    folder = make_study(n_images=12, readers=2)
    answer_all(folder, 0, {"generated": 5, "real": 2})
    answer_all(folder, 1, {"generated": 3, "real": 0})
    scores = score_study(folder, times=50)
    first, second = (row for _, row in scores.readers.iterrows())
    assert (first["accuracy"], first["precision"], first["recall"]) == pytest.approx((9 / 12, 5 / 7, 5 / 6))
    assert (second["accuracy"], second["precision"], second["recall"]) == pytest.approx((9 / 12, 1.0, 0.5))
    assert (first["recall_real"], second["recall_real"]) == pytest.approx((4 / 6, 1.0))
    assert (first["low"], first["high"]) == pytest.approx((0.4281, 0.9451), abs=1e-4)  # Clopper-Pearson, 9 of 12
    summary = scores.summary.set_index("measure")
    assert summary.loc["recall", "mean"] == pytest.approx(2 / 3)
    assert summary.loc["recall", "sd"] == pytest.approx(np.std([5 / 6, 1 / 2], ddof=1))
    assert scores.metrics["answers"] == 24
    assert scores.metrics["accuracy"]["mean"] == pytest.approx(0.75)
    json.dumps(scores.metrics)


def test_hardest_image_comes_first(make_study):
    folder = make_study(n_images=12, readers=3)
    for reader in range(3):
        answer_all(folder, reader, {"generated": 6, "real": 1})
    images = score_study(folder, times=20).images
    assert images["share_correct"].tolist() == [0.0] + [1.0] * 11
    assert images.loc[0, "truth"] == "real"


def test_reader_who_never_says_generated_has_no_precision(make_study):
    folder = make_study(n_images=12, readers=2)
    answer_all(folder, 0, {"generated": 0, "real": 0})
    answer_all(folder, 1, {"generated": 6, "real": 0})
    summary = score_study(folder, times=20).summary.set_index("measure")
    assert summary.loc["precision", "readers"] == 1
    assert summary.loc["precision", "mean"] == 1.0
    assert np.isfinite(summary.loc["d_prime", "mean"])


def test_unfinished_readers_are_told_and_counted_only_when_asked(make_study, simulate_readers):
    folder = make_study(n_images=12, readers=3)
    simulate_readers(folder, d_prime=1.0, seed=0, most=7)
    with pytest.raises(InputError, match="no reader has answered all 12 images; 3 have begun"):
        score_study(folder)
    some = score_study(folder, unfinished=True, times=20)
    assert some.readers["answers"].tolist() == [7, 7, 7]
    assert np.isfinite(some.summary["mean"]).all()
    answer_all(folder, 1, {"generated": 6, "real": 0})
    finished = score_study(folder, times=20)
    assert finished.readers["reader"].tolist() == ["reader-02"]
    assert finished.left_out == {"reader-01": 7, "reader-03": 7}


def test_what_cannot_be_scored_is_told(make_study):
    folder, other = make_study("a"), make_study("b")
    with pytest.raises(InputError, match="has no answers yet"):
        score_study(folder)
    AnswerStore(folder / ANSWERS)
    with pytest.raises(InputError, match="no reader has begun"):
        score_study(folder)
    (folder / KEY).write_text((other / KEY).read_text())
    with pytest.raises(InputError, match="key is of another study"):
        score_study(folder)
    (folder / KEY).unlink()
    with pytest.raises(InputError, match="without its key"):
        score_study(folder)


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", '{"images": {}}', '{"images": {"a": {}}, "model": "m", "provenance": {}}', "{", "[" * 100_000],
)
def test_key_that_is_none_is_refused(make_study, content):
    folder = make_study()
    (folder / KEY).write_text(content)
    with pytest.raises(InputError, match=r"key\.json: .* put (it|the original) back there"):
        score_study(folder)


def test_answers_that_are_no_database_are_refused(make_study):
    folder = make_study()
    (folder / ANSWERS).write_text("notes " * 300)
    with pytest.raises(InputError, match="cannot be read as answers"):
        score_study(folder)


def test_readers_with_few_answers_do_not_count_even_when_asked(make_study, simulate_readers):
    folder = make_study(n_images=12, readers=2)
    simulate_readers(folder, d_prime=1.0, seed=0, most=5)
    with pytest.raises(InputError, match="no reader has answered at least half of the 12 images; 2 have begun"):
        score_study(folder, unfinished=True)
    answer_all(folder, 0, {"generated": 6, "real": 0})
    scores = score_study(folder, unfinished=True, times=20)
    assert scores.left_out == {"reader-02": 5}


def test_sensitivity_without_images_of_one_kind_is_not_defined(make_study):
    folder = make_study(n_images=12, readers=1)
    key = read_key(folder)["images"]
    real = [image for image in open_study(folder).images if key[image]["truth"] == "real"]
    AnswerStore(folder / ANSWERS).save(
        "reader-01", [Answer(f"{n:032x}", image, "real", n + 1) for n, image in enumerate(real)]
    )
    scores = score_study(folder, unfinished=True, times=20)
    assert np.isnan(scores.mean("d_prime").value)
    assert scores.mean("accuracy").value == 1.0


def test_kappa_equals_the_reference():
    called = (np.random.default_rng(0).random((7, 40)) < np.linspace(0.05, 0.9, 40)).astype(float)
    counts = aggregate_raters(called.T.astype(int))[0]
    assert fleiss_kappa(called) == pytest.approx(reference_kappa(counts), rel=1e-12)


def test_kappa_with_missing_answers():
    agreed = np.tile(np.array([0.0, 1.0, 1.0, 0.0]), (3, 1))
    agreed[0, 0] = np.nan
    assert fleiss_kappa(agreed) == pytest.approx(1.0)
    lonely = np.array([[0.0, 1.0, np.nan], [np.nan, np.nan, 1.0]])
    assert np.isnan(fleiss_kappa(lonely))
    assert np.isnan(fleiss_kappa(np.ones((3, 5))))
