"""Score a reader study: how well readers told generated images from real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import binomtest, norm

from g2m_eval.errors import InputError
from g2m_eval.intervals import RESAMPLES, Interval, percentile_interval, resamples
from g2m_eval.reader_study.layout import ANSWERS, open_study, read_key
from g2m_eval.reader_study.store import AnswerStore

MEASURES = ("accuracy", "precision", "recall", "d_prime")


@dataclass(frozen=True, kw_only=True)
class ReaderScores:
    """What readers of a study could tell. "Positive" is generated: the reader's task is to find those."""

    readers: pd.DataFrame
    """One row for each reader who counts: answers, correct, accuracy with exact ends low and high, precision, recall,
    recall_real (share of real images called real), d_prime."""
    images: pd.DataFrame
    """One row an image, hardest first: image, truth, spot, group, answers, correct, share_correct."""
    summary: pd.DataFrame
    """A row for each of `MEASURES`: mean and sd over readers, low and high of the mean, readers who have a value."""
    pooled: Interval
    """Share of all answers that are correct, with the exact binomial interval of independent answers."""
    kappa: float
    """Fleiss' kappa: 0, readers agree no more than by chance; 1, always."""
    left_out: Mapping[str, int]
    """Answers of each reader who does not count."""
    model: str

    def mean(self, measure: str) -> Interval:
        """Mean of a measure over readers."""
        row = self.summary.set_index("measure").T[measure]
        return Interval(value=float(row["mean"]), low=float(row["low"]), high=float(row["high"]))

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds under ``reader_study``."""
        rows = self.summary.set_index("measure")[["mean", "sd", "low", "high"]]
        return {
            **{str(measure): row.to_dict() for measure, row in rows.iterrows()},
            "pooled_accuracy": self.pooled.to_dict(),
            "fleiss_kappa": self.kappa,
            "readers": len(self.readers),
            "images": len(self.images),
            "answers": int(self.readers["answers"].sum()),
            "readers_left_out": len(self.left_out),
            "model": self.model,
        }


def score_study(folder: Path, *, unfinished: bool = False, times: int = RESAMPLES, seed: int = 0) -> ReaderScores:
    """Score the answers given so far.

    Means and SD are over readers, as in the paper's Table 2. Which class its precision and recall take for positive
    the paper does not say; here it is "generated", and the share of real images called real stands beside it.
    Intervals of the means resample readers and, within real and generated, images (the pigeonhole bootstrap of
    Owen 2007): the answers of one reader, and those to one image, are not independent. They speak of other readers
    and other images, and are wide rather than narrow: where answers are independent after all, by some 1.7 times. d' is
    z(hits) - z(false alarms) with half an answer added to each count and one to each total (log-linear, Hautus 1995),
    which keeps it finite and draws it a little to 0.

    Parameters
    ----------
    folder
        Of `create_study`, with its key and the answers.
    unfinished
        Count every reader who has answered at least half of the images; by default those who have answered all. Who
        is left out is told. An image that a reader left out then counts neither for nor against them, and each
        reader weighs alike in means, whatever number they answered: hence no fewer than half.
    times, seed
        Of the bootstrap.

    Raises
    ------
    InputError
        There are no answers, no reader counts, or study and key do not belong together.
    """
    study, key = open_study(folder), read_key(folder)
    truth = pd.DataFrame.from_dict(key["images"], orient="index").sort_index()
    if list(truth.index) != study.images:
        raise InputError(f"{folder}: the key is of another study: its images are not this one's")
    if not (study.folder / ANSWERS).is_file():
        raise InputError(f"{folder} has no answers yet: `g2m eval study serve {folder}` collects them")
    store = AnswerStore(study.folder / ANSWERS)
    given = {reader: {image: a for image, (a, _) in store.current(reader).items()} for reader in study.orders}
    enough = -(-len(truth) // 2) if unfinished else len(truth)
    counting = [reader for reader, answers in given.items() if len(answers) >= enough]
    if not counting:
        begun = sum(bool(answers) for answers in given.values())
        more = "all" if not unfinished else "at least half of the"
        hint = "" if unfinished else ", --unfinished counts those who have answered half"
        what = f"answered {more} {len(truth)} images; {begun} have begun{hint}" if begun else "begun"
        raise InputError(f"{folder}: no reader has {what}")

    called = _table(given, counting, truth.index)
    positive = (truth["truth"] == "generated").to_numpy()
    measured = _measures(called, positive)
    correct = np.where(np.isnan(called), np.nan, called == positive)
    right, total = np.nansum(correct, axis=1).astype(int), np.isfinite(called).sum(axis=1)
    exact = [_exact(int(k), int(n)) for k, n in zip(right, total, strict=True)]
    readers = pd.DataFrame({
        "reader": counting, "answers": total, "correct": right, "accuracy": measured["accuracy"],
        "low": [interval.low for interval in exact], "high": [interval.high for interval in exact],
        "precision": measured["precision"], "recall": measured["recall"], "recall_real": measured["recall_real"],
        "d_prime": measured["d_prime"],
    })  # fmt: skip
    images = truth.rename_axis("image").reset_index()[["image", "truth", "spot", "group"]]
    images["answers"] = np.isfinite(called).sum(axis=0)
    images["correct"] = np.nansum(correct, axis=0).astype(int)
    images["share_correct"] = images["correct"] / images["answers"].where(images["answers"] > 0)
    return ReaderScores(
        readers=readers,
        images=images.sort_values(["share_correct", "image"], ignore_index=True),
        summary=_summary(called, positive, times=times, seed=seed),
        pooled=_exact(int(right.sum()), int(total.sum())),
        kappa=fleiss_kappa(called),
        left_out={reader: len(answers) for reader, answers in given.items() if reader not in counting},
        model=str(key["model"]),
    )


def fleiss_kappa(called: Float[np.ndarray, "reader image"]) -> float:
    """Agreement of readers on two classes beyond chance, where some answers may be missing.

    Parameters
    ----------
    called
        1 or 0, NaN where there is no answer. Images with fewer than two answers say nothing about agreement.

    Returns
    -------
    Fleiss' kappa (1971), pairs of answers counted within each image as there are; NaN where all answers are alike.
    """
    answers = np.isfinite(called).sum(axis=0)
    ones = np.nansum(called, axis=0)[answers >= 2]
    answers = answers[answers >= 2]
    counts = np.stack([ones, answers - ones])
    if not len(answers) or (counts.sum(axis=1) == 0).any():
        return float("nan")
    observed = ((counts * (counts - 1)).sum(axis=0) / (answers * (answers - 1))).mean()
    expected = ((counts.sum(axis=1) / answers.sum()) ** 2).sum()
    return float((observed - expected) / (1 - expected))


def _table(
    given: Mapping[str, Mapping[str, str]], readers: list[str], images: pd.Index[str]
) -> Float[np.ndarray, "reader image"]:
    """1 where a reader called an image generated, 0 where real, NaN where there is no answer."""
    value = {"generated": 1.0, "real": 0.0}
    return np.array([[value.get(given[reader].get(image, ""), np.nan) for image in images] for reader in readers])


def _measures(
    called: Float[np.ndarray, "reader image"], positive: Bool[np.ndarray, " image"]
) -> dict[str, Float[np.ndarray, " reader"]]:
    """Accuracy, precision, recall and d' of each reader; NaN where one is not defined."""
    answered = np.isfinite(called)
    hits, alarms = (np.nansum(called * of, axis=1) for of in (positive, ~positive))
    positives, negatives = ((answered & of).sum(axis=1).astype(np.float64) for of in (positive, ~positive))
    both = (positives > 0) & (negatives > 0)  # without either, there is nothing to tell apart
    d_prime = norm.ppf((hits + 0.5) / (positives + 1)) - norm.ppf((alarms + 0.5) / (negatives + 1))
    return {
        "accuracy": _ratio(hits + negatives - alarms, positives + negatives),
        "precision": _ratio(hits, hits + alarms),
        "recall": _ratio(hits, positives),
        "recall_real": _ratio(negatives - alarms, negatives),
        "d_prime": np.where(both, d_prime, np.nan),
    }


def _summary(
    called: Float[np.ndarray, "reader image"], positive: Bool[np.ndarray, " image"], *, times: int, seed: int
) -> pd.DataFrame:
    measured = _measures(called, positive)
    readers = resamples(len(called), times=times, seed=seed)
    images = resamples(len(positive), times=times, seed=seed + 1, strata=positive)
    again = [_measures(called[np.ix_(r, i)], positive[i]) for r, i in zip(readers, images, strict=True)]
    rows = []
    for measure in MEASURES:
        values = measured[measure][np.isfinite(measured[measure])]
        mean = _mean(values)
        sd = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        means = np.array([_mean(resampled[measure]) for resampled in again])
        interval = percentile_interval(mean, means)
        rows.append((measure, mean, sd, interval.low, interval.high, len(values)))
    return pd.DataFrame(rows, columns=["measure", "mean", "sd", "low", "high", "readers"])


def _ratio(part: Float[np.ndarray, " n"], whole: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def _mean(values: Float[np.ndarray, " n"]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _exact(correct: int, answers: int) -> Interval:
    """Clopper and Pearson's interval of a share."""
    if not answers:
        return Interval(value=float("nan"), low=float("nan"), high=float("nan"))
    ends = binomtest(correct, answers).proportion_ci(0.95, method="exact")
    return Interval(value=correct / answers, low=float(ends.low), high=float(ends.high))
