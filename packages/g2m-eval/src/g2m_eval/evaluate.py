"""The figures of one generator, from arrays: distances, regions, factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from numpy.typing import ArrayLike

from g2m_eval.distances.compare import compare_sets
from g2m_eval.distances.frechet import FeatureStatistics, frechet_distance
from g2m_eval.distances.kernel import kernel_distance
from g2m_eval.distances.manifold import DENSITY_NEIGHBOURS
from g2m_eval.distances.protocol import TEST_SPOTS, TRAINING_SLIDE, DistanceProtocol
from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Extractor
from g2m_eval.extractors.features import content_digest
from g2m_eval.fidelity.correspondence import same_spot_correspondence
from g2m_eval.fidelity.factors import within_region_correlation
from g2m_eval.fidelity.regions import MeanColourClassifier, RegionScores, mean_colour, score_regions
from g2m_eval.morphology import STATISTICS, image_statistics
from g2m_eval.resize import resize_patches

PURITY = 0.9
"""Smallest share of one region in a window whose truth is scored."""


@runtime_checkable
class RegionClassifier(Protocol):
    """Whatever names the region of each image."""

    def predict(self, images: UInt8[np.ndarray, "n height width 3"]) -> np.ndarray:
        """Region of each image."""
        ...


@dataclass(frozen=True, kw_only=True)
class GeneratorEvaluation:
    """What was found out about one generator.

    Attributes
    ----------
    metrics
        The entry ``models.<name>`` of a report's ``metrics.json``.
    regions
        Region scores by what was classified: "real patches", "generated patches"; empty without truth.
    factors
        One row a factor: factor, statistic, sign, regions, within_region_real, p_real, within_region_generated, p, n.
    correspondence
        Agreement of image statistics with the real patches of the same spots; needs no truth.
    statistics_real, statistics_generated
        Image statistics of all test spots, the generated ones averaged over noise vectors.
    scored
        Which test spots are pure enough for their truth to be scored; empty without truth.
    """

    metrics: dict[str, Any]
    regions: dict[str, RegionScores] = field(default_factory=dict)
    factors: pd.DataFrame
    correspondence: pd.DataFrame
    statistics_real: pd.DataFrame
    statistics_generated: pd.DataFrame
    scored: np.ndarray


def evaluate_generator(
    *,
    extractor: Extractor,
    train: UInt8[np.ndarray, "n_train height width 3"],
    test: UInt8[np.ndarray, "n height width 3"],
    generated: UInt8[np.ndarray, "n_generated size size 3"],
    shuffled: UInt8[np.ndarray, "n_shuffled size size 3"],
    patch_um: Sequence[float] | float,
    samples: ArrayLike,
    spots: ArrayLike | None = None,
    train_regions: ArrayLike | None = None,
    truth: pd.DataFrame | None = None,
    factors: pd.DataFrame | None = None,
    classifier: RegionClassifier | None = None,
    permutations: int = 9999,
    kernel_subsets: int = 100,
    seed: int = 0,
) -> GeneratorEvaluation:
    """Score generated patches of test spots against the real ones, and against what is known to be true of the spots.

    Real patches are brought to the size of the generated ones before anything is compared. The training patches
    compared with the test patches are a random draw of as many as were generated, because a Fréchet distance depends
    on the number of images. Truth is scored on windows of which at least 90 % are one region, a factor only in the
    regions where it is drawn, within one region of one section at a time.

    An extractor trained on ``train`` has seen the training patches of this yardstick. That may bring them a little
    further from the test patches than unseen ones (one measurement, of a made study: 1.56 instead of 1.37), so that
    generated patches look slightly better beside them; patches held out for it would cost small studies too much.
    Intervals take each spot for itself: windows that overlap, as HD windows may, share tissue and make them too narrow.

    Parameters
    ----------
    extractor
        A network that took no part in training the generator; its name is recorded.
    train, test
        Real patches of training and test sections.
    generated
        Patches generated from the expression of test spots.
    shuffled
        The same from permuted expressions: what an unconditional generator of the same quality would score.
    patch_um
        Width of the patches.
    samples
        Section of each test spot.
    spots
        Row of ``test`` that each generated patch belongs to; by default they correspond one to one. Several
        patches a spot are averaged in their statistics and each counted as one in region accuracy.
    train_regions
        Region of each training patch, None or "" where mixed; needed for region figures.
    truth
        One row a test spot: region, purity and a column for each factor; None for real data.
    factors
        Columns factor, regions (sequence, or text separated by commas), statistic, sign.
    classifier
        Names regions of patches; by default the extractor, if it can.
    seed
        Of permutations and draws.

    Raises
    ------
    InputError
        Arrays that belong together differ in length.
    """
    resolution = generated.shape[1]
    owner = np.arange(len(test)) if spots is None else np.asarray(spots, dtype=np.int64)
    section = np.asarray(samples, dtype=str)
    _check(len(owner) == len(generated), "one test spot for each generated patch", len(owner), len(generated))
    _check(len(section) == len(test), "one section for each test patch", len(section), len(test))
    _check(
        truth is None or len(truth) == len(test),
        "one row of truth for each test patch",
        -1 if truth is None else len(truth),
        len(test),
    )
    mpp = float(np.mean(patch_um)) / resolution
    generator = np.random.default_rng(seed)
    drawn = np.sort(generator.choice(len(train), min(len(train), len(generated)), replace=False))
    real = resize_patches(test, resolution)
    real_train = resize_patches(train[drawn], resolution)

    metrics: dict[str, Any] = {
        "extractor": extractor.name,
        "resolution": resolution,
        "resize": _resizing(test.shape[1], resolution),
        "n": {"generated": len(generated), "shuffled": len(shuffled), "test": len(test), "train": len(drawn)},
        "seed": seed,
    }
    metrics |= _distances(
        extractor,
        test.shape[1],
        real_train,
        real,
        generated,
        shuffled,
        owner,
        {TEST_SPOTS: content_digest(test), TRAINING_SLIDE: content_digest(train[drawn])},
        kernel_subsets,
        seed,
    )

    statistics_real = image_statistics(real, mpp)
    each = image_statistics(generated, mpp)
    statistics_generated = each.groupby(owner).mean().reindex(np.arange(len(test)))
    regions: dict[str, RegionScores] = {}
    scored = np.zeros(0, dtype=bool)
    table = pd.DataFrame()
    namer = classifier if classifier is not None else _namer(extractor)
    if truth is not None:
        scored = truth["purity"].to_numpy(dtype=float) >= PURITY
        true_region = truth["region"].to_numpy(dtype=str)
        if namer is not None and train_regions is not None and scored.any():
            mean_colour = _mean_colour_scores(train, train_regions, real[scored], true_region[scored], seed)
            pure = scored[owner]
            regions = {
                "real patches": score_regions(true_region[scored], namer.predict(real[scored])),
                "generated patches": score_regions(true_region[owner][pure], namer.predict(generated[pure])),
                "real patches, mean colour only": mean_colour,
            }
            metrics |= {
                "region_accuracy": regions["generated patches"].balanced_accuracy,
                "region_accuracy_real": regions["real patches"].balanced_accuracy,
                "region_accuracy_mean_rgb": mean_colour.balanced_accuracy,
                "region_recall": regions["generated patches"].recall,
                "region_recall_real": regions["real patches"].recall,
            }
            metrics["n"] |= {"scored_spots": int(scored.sum()), "region": int(pure.sum())}
        if factors is not None:
            table = _score_factors(
                truth, factors, scored, section, statistics_real, statistics_generated, permutations, seed
            )
            metrics["factors"] = {
                row["factor"]: {
                    key: row[key]
                    for key in (
                        "within_region_generated",
                        "within_region_real",
                        "p",
                        "p_real",
                        "n",
                        "statistic",
                        "sign",
                    )
                }
                for row in table.to_dict("records")
            }
    same_spot = same_spot_correspondence(statistics_generated, statistics_real, section, seed=seed)
    metrics["correspondence"] = {
        row["statistic"]: {"rho": row["rho"], "p": row["p"], "n": row["n"]} for row in same_spot.to_dict("records")
    }
    return GeneratorEvaluation(
        metrics=metrics,
        regions=regions,
        factors=table,
        correspondence=same_spot,
        statistics_real=statistics_real,
        statistics_generated=statistics_generated,
        scored=scored,
    )


def _resizing(real: int, resolution: int) -> str:
    """How `resize_patches` brought real patches to the size of the generated ones."""
    if real == resolution:
        return "the size real patches have"
    how = "area average" if real > resolution else "bilinear interpolation"
    return f"{how} of {real} px real patches to {resolution} px"


def _distances(
    extractor: Extractor,
    real_size: int,
    train: UInt8[np.ndarray, "n_train size size 3"],
    test: UInt8[np.ndarray, "n size size 3"],
    generated: UInt8[np.ndarray, "n_generated size size 3"],
    shuffled: UInt8[np.ndarray, "n_shuffled size size 3"],
    owner: np.ndarray,
    digests: Mapping[str, str],
    subsets: int,
    seed: int,
) -> dict[str, Any]:
    of_test, of_generated, of_train = (extractor.features(patches) for patches in (test, generated, train))
    reference = FeatureStatistics.of(of_test)
    kernel = kernel_distance(of_generated, of_test, subsets=subsets, seed=seed)
    found: dict[str, Any] = {
        "frechet_generated_vs_test": frechet_distance(of_generated, reference),
        "frechet_train_vs_test": frechet_distance(of_train, reference),
        "frechet_shuffled_vs_test": frechet_distance(extractor.features(shuffled), reference),
        "kernel_generated_vs_test": kernel.mean,
        "kernel_generated_vs_test_sd": kernel.sd,
        "kernel_subsets": kernel.subsets,
        "kernel_subset_size": kernel.subset_size,
    }
    if min(len(test), len(generated), len(train)) <= DENSITY_NEIGHBOURS:
        return found | {"distances": [], "distances_real": []}  # too few for any neighbourhood

    # a network that works at fewer pixels brings patches there itself, whatever size they come in
    seen = min(test.shape[1], int(getattr(extractor, "resolution", 0)) or test.shape[1])
    steps = [_resizing(real_size, test.shape[1])] if real_size < test.shape[1] else []
    if not steps or seen < test.shape[1]:
        steps.append(f"area averages to {seen} px")

    def compare(first: np.ndarray, spots: np.ndarray, to_test: bool) -> dict[str, Any]:
        against, name = (of_test, TEST_SPOTS) if to_test else (of_train, TRAINING_SLIDE)
        protocol = DistanceProtocol(
            extractor=extractor.name,
            resolution=seen,
            resize=", then ".join(steps),
            n_generated=len(first),
            n_reference=len(against),
            reference=name,
            reference_hash=digests[name][:16],
            seed=seed,
            inception=bool(getattr(extractor, "published", False)),
        )
        own = np.arange(len(against)) + (0 if to_test else len(test))
        return compare_sets(
            first, against, protocol, generated_spots=spots, reference_spots=own, kernel_subsets=subsets
        ).to_dict()

    training_spots = np.arange(len(train)) + len(test)
    return found | {
        "distances": [compare(of_generated, owner, True), compare(of_generated, owner, False)],
        "distances_real": [compare(of_train, training_spots, True)],
    }


def _score_factors(
    truth: pd.DataFrame,
    factors: pd.DataFrame,
    scored: np.ndarray,
    section: np.ndarray,
    real: pd.DataFrame,
    generated: pd.DataFrame,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    region = truth["region"].to_numpy(dtype=str)
    stratum = np.array([f"{s}\t{r}" for s, r in zip(section, region, strict=True)])
    rows = []
    for row in factors.to_dict("records"):
        name, statistic = str(row["factor"]), str(row["statistic"])
        if name not in truth or statistic not in STATISTICS:
            continue
        drawn_in = _names(row["regions"])
        here = scored & np.isin(region, drawn_in)
        values = truth[name].to_numpy(dtype=float)[here]
        results = [
            within_region_correlation(
                values, table[statistic].to_numpy()[here], stratum[here], permutations=permutations, seed=seed
            )
            for table in (real, generated)
        ]
        rows.append(
            {
                "factor": name,
                "statistic": statistic,
                "sign": int(row["sign"]),
                "regions": ", ".join(drawn_in),
                "within_region_real": results[0].rho,
                "p_real": results[0].p,
                "within_region_generated": results[1].rho,
                "p": results[1].p,
                "n": results[1].n,
            }
        )
    return pd.DataFrame(rows)


def _mean_colour_scores(
    train: UInt8[np.ndarray, "n_train height width 3"],
    train_regions: ArrayLike,
    real: UInt8[np.ndarray, "n size size 3"],
    regions: np.ndarray,
    seed: int,
) -> RegionScores:
    labels = np.array(["" if r is None or r != r else str(r) for r in np.asarray(train_regions, dtype=object)])
    _check(len(labels) == len(train), "one region for each training patch", len(labels), len(train))
    labelled = labels != ""
    # area averages keep the mean colour, so there is no need to resize thousands of training patches
    classifier = MeanColourClassifier(mean_colour(train)[labelled], labels[labelled], seed=seed)
    return score_regions(regions, classifier.predict(mean_colour(real)))


def _namer(extractor: Extractor) -> RegionClassifier | None:
    able = bool(getattr(extractor, "classes", ())) and hasattr(extractor, "predict")
    return extractor if able else None  # type: ignore[return-value]


def _names(regions: Any) -> list[str]:
    """Regions of a factor, given as a sequence or as text with commas or semicolons between."""
    if isinstance(regions, str):
        return [part.strip() for part in regions.replace(";", ",").split(",") if part.strip()]
    return [str(region) for region in regions]


def _check(agrees: bool, expected: str, got: int, wanted: int) -> None:
    if not agrees:
        raise InputError(f"scoring a generator needs {expected}: got {got} for {wanted}")
