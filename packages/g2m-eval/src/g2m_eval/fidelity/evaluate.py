"""Condition fidelity: does this spot's image match this spot's expression, between its ceiling and its floor?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from numpy.typing import ArrayLike

from g2m_eval.errors import InputError
from g2m_eval.evaluate import PURITY
from g2m_eval.fidelity.reference import FidelityReference, Looks
from g2m_eval.fidelity.regressor import Expression
from g2m_eval.fidelity.resampling import SpotResamples, interval_of
from g2m_eval.fidelity.retrieval import retrieval_at_k
from g2m_eval.fidelity.transcriptome import PREDICTABLE, score_transcriptome
from g2m_eval.intervals import RESAMPLES, Interval

KINDS = ("real", "generated", "shuffled")
"""Ceiling, what is scored, and floor."""
_TOP = 5


@dataclass(frozen=True, kw_only=True)
class FidelityEvaluation:
    """How well a generator keeps to its conditions.

    Attributes
    ----------
    metrics
        The entry ``models.<name>.fidelity`` of ``metrics.json``: each metric's ``real``, ``generated`` and
        ``shuffled`` interval.
    scores
        The same as intervals, by metric and kind.
    table
        One row a metric: its name and what it is for each kind, as text with its interval.
    genes
        One row a gene that real training patches predict (`score_transcriptome`).
    """

    metrics: dict[str, Any]
    scores: dict[str, dict[str, Interval]]
    table: pd.DataFrame
    genes: pd.DataFrame


def evaluate_fidelity(
    reference: FidelityReference,
    *,
    generated: UInt8[np.ndarray, "n_generated size size 3"],
    shuffled: UInt8[np.ndarray, "n_shuffled size size 3"],
    expression: Expression,
    genes: Sequence[str],
    samples: ArrayLike,
    spots: Int[np.ndarray, " owners"] | None = None,
    shuffled_spots: Int[np.ndarray, " floor_owners"] | None = None,
    truth: pd.DataFrame | None = None,
    times: int = RESAMPLES,
    seed: int = 0,
) -> FidelityEvaluation:
    """Score generated patches by what each says of its own spot.

    Metrics, each with a 95 % interval (spots drawn again within sections):

    - ``retrieval``: share of images whose own spot is among the 5 of all real patches of its section that are most
      similar. Features are standardised by those of training patches, then each set is centred within the section, so
      that a hue that all generated patches share is no handicap.
    - ``region_accuracy``: balanced, on spots of which at least 90 % are one region; with ``truth`` and a classifier.
    - ``nuclei_count``, ``nuclei_size``: Spearman's rho over the spots of a section with the real patch's.
    - ``transcriptome``: see `score_transcriptome`.

    The ceiling of retrieval and nuclei is a second look, the real patch displaced by a quarter of its width, since the
    very same patch agrees with itself; of regions and transcriptome it is the real patch. It is what real tissue
    reaches, not a bound: an image that showed a spot's expression more plainly than tissue does would pass it.

    Parameters
    ----------
    reference
        Of all test spots.
    generated, shuffled
        Patches from the expression of test spots, and from permuted expression.
    expression
        Of test spots: what patches were prompted with.
    genes
        Their names.
    samples
        Section of every test spot.
    spots, shuffled_spots
        Test spot of each patch; by default they correspond one to one, and the shuffled ones to the generated ones.
        Several patches a spot count one each. Only spots with a patch are scored; all are there to be found.
    truth
        One row a test spot: region and purity.
    times, seed
        Of the bootstrap.

    Raises
    ------
    InputError
        Arrays that belong together differ in length.
    """
    section = np.asarray(samples, dtype=str)
    owner = np.arange(len(section)) if spots is None else np.asarray(spots, dtype=np.int64)
    floor = owner if shuffled_spots is None else np.asarray(shuffled_spots, dtype=np.int64)
    _check(reference, section, {"generated": (generated, owner), "shuffled": (shuffled, floor)}, truth)
    drawn = np.unique(np.concatenate([owner, floor]))
    place = np.full(len(section), -1)
    place[drawn] = np.arange(len(drawn))
    resampled = SpotResamples(section[drawn], times=times, seed=seed)
    looks = {"generated": reference.look(generated), "shuffled": reference.look(shuffled)}
    again = {"real": reference.again} | looks
    rows = {"real": drawn, "generated": owner, "shuffled": floor}
    within = {kind: place[row] for kind, row in rows.items()}

    scores: dict[str, dict[str, Interval]] = {}
    hits, chance = {}, float("nan")
    for kind, look in again.items():
        features = look.features[drawn] if kind == "real" else look.features
        hits[kind], chance = _find_spots(reference, features, rows[kind], section)
    scores["retrieval"] = {kind: resampled.mean(hits[kind], within[kind]) for kind in KINDS}
    if truth is not None and reference.real.regions is not None:
        real = reference.real.regions[drawn]
        named = {"real": real} | {kind: _regions_of(look) for kind, look in looks.items()}
        accuracy = _region_accuracy(truth, named, rows, within, resampled)
        scores |= {"region_accuracy": accuracy} if accuracy else {}
    for name, column in (("nuclei_count", "count"), ("nuclei_size", "size_um2")):
        own = reference.real.nuclei[column].to_numpy(dtype=float)[drawn]
        scores[name] = {}
        for kind, look in again.items():
            found = look.nuclei[column].to_numpy(dtype=float)
            scores[name][kind] = resampled.spearman(found[drawn] if kind == "real" else found, own, within[kind])
    read = score_transcriptome(
        reference.regressor,
        {"real": reference.real.features[drawn]} | {kind: look.features for kind, look in looks.items()},
        within,
        lambda some: expression(drawn[some]),
        resampled,
        genes,
    )
    scores["transcriptome"] = read.means

    metrics: dict[str, Any] = {name: {kind: found[kind].to_dict() for kind in KINDS} for name, found in scores.items()}
    metrics["retrieval"] |= {"k": _TOP, "chance": chance}
    metrics["transcriptome"] |= {
        "share": read.share.to_dict(),
        "genes": len(read.genes),
        "least_held_out_r": PREDICTABLE,
        "penalty": reference.regressor.penalty,
        "training_pairs": reference.regressor.n,
    }
    metrics["nuclei"] = _mean_counts(reference, looks["generated"], drawn, within["generated"], resampled)
    metrics["protocol"] = {
        "extractor": reference.extractor.name,
        "resolution": reference.resolution,
        "spots": len(drawn),
        "generated": len(generated),
        "shuffled": len(shuffled),
        "resamples": times,
        "seed": seed,
    }
    table = pd.DataFrame(
        [{"metric": name} | {kind: str(found[kind]) for kind in KINDS} for name, found in scores.items()]
    )
    return FidelityEvaluation(metrics=metrics, scores=scores, table=table, genes=read.genes)


def _find_spots(
    reference: FidelityReference,
    features: Float[np.ndarray, "n dim"],
    owner: Int[np.ndarray, " n"],
    section: np.ndarray,
) -> tuple[Float[np.ndarray, " n"], float]:
    """Whether each image finds its spot among its section's, and what chance would."""
    fitted = reference.regressor
    hits, chance = np.empty(len(features)), np.empty(len(features))
    for name in np.unique(section[owner]):
        images, spots = np.flatnonzero(section[owner] == name), np.flatnonzero(section == name)
        asked, keys = features[images] / fitted.scale, reference.real.features[spots] / fitted.scale
        own = np.searchsorted(spots, owner[images])
        centred = keys - keys[own].mean(axis=0)  # of the spots that have images, as the images' own centre is
        found = retrieval_at_k(asked - asked.mean(axis=0), centred, own, min(_TOP, len(spots)))
        hits[images], chance[images] = found.hits, found.chance
    return hits, float(chance.mean())


def _region_accuracy(
    truth: pd.DataFrame,
    named: Mapping[str, np.ndarray],
    rows: Mapping[str, Int[np.ndarray, " n"]],
    within: Mapping[str, Int[np.ndarray, " n"]],
    resampled: SpotResamples,
) -> dict[str, Interval]:
    pure = truth["purity"].to_numpy(dtype=float) >= PURITY
    region = truth["region"].to_numpy(dtype=str)
    found = {}
    for kind, guess in named.items():
        scored = pure[rows[kind]]
        if not scored.any():
            return {}
        true = region[rows[kind]][scored]
        group = np.unique(true, return_inverse=True)[1]
        found[kind] = resampled.balanced(guess[scored] == true, group, within[kind][scored])
    return found


def _mean_counts(
    reference: FidelityReference,
    generated: Looks,
    drawn: Int[np.ndarray, " drawn"],
    owner: Int[np.ndarray, " n"],
    resampled: SpotResamples,
) -> dict[str, Any]:
    """Nuclei of an average patch, and how far generated ones are from real ones."""
    of_real = resampled.means(reference.real.nuclei["count"].to_numpy(dtype=float)[drawn], np.arange(len(drawn)))
    of_generated = resampled.means(generated.nuclei["count"].to_numpy(dtype=float), owner)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = interval_of(of_generated / of_real - 1)
    return {
        "mean_count_real": interval_of(of_real).to_dict(),
        "mean_count_generated": interval_of(of_generated).to_dict(),
        "relative_error": error.to_dict(),
    }


def _regions_of(look: Looks) -> np.ndarray:
    assert look.regions is not None, "the reference has a classifier"
    return look.regions


def _check(
    reference: FidelityReference,
    section: np.ndarray,
    images: Mapping[str, tuple[np.ndarray, np.ndarray]],
    truth: pd.DataFrame | None,
) -> None:
    spots = len(reference.real.features)
    if len(section) != spots or (truth is not None and len(truth) != spots):
        raise InputError(
            f"fidelity needs a section, and a row of truth if there is any, for each of {spots} test spots: "
            f"got {len(section)} and {'none' if truth is None else len(truth)}"
        )
    for kind, (patches, owner) in images.items():
        if len(owner) != len(patches) or not len(owner) or owner.min() < 0 or owner.max() >= spots:
            raise InputError(
                f"fidelity needs the test spot of each {kind} patch, a row below {spots}: got {len(owner)} rows for "
                f"{len(patches)} patches"
            )
        if patches.shape[1] != reference.resolution:
            raise InputError(
                f"{kind} patches are {patches.shape[1]} px wide, but the reference was measured at "
                f"{reference.resolution} px: measure it at that size"
            )
