"""What real patches of a study say: measured once for each size of generated images, shared by all generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import track
from g2m_cli.evaluation.images import PatchesView

if TYPE_CHECKING:
    from g2m_cli.evaluation.scoring import Judge, TestSpots
    from g2m_data import PairedDataset
    from g2m_eval import EvaluationSettings
    from g2m_eval.fidelity.evaluate import FidelityEvaluation
    from g2m_eval.fidelity.reference import FidelityReference
    from g2m_eval.memorisation import MemorisationEvaluation, MemorisationYardstick
    from g2m_eval.stain import ColourProfile, StainEvaluation

_COLOUR_PATCHES = 2000  # of the training slide, whose mean colour they give


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Real patches at one size."""

    fidelity: FidelityReference
    memorisation: MemorisationYardstick
    train_colour: ColourProfile
    test_colour: ColourProfile


@dataclass(frozen=True, kw_only=True)
class ConditionScores:
    """Whether a generator keeps to its conditions, copies, and has taken on the training slide's stain."""

    fidelity: FidelityEvaluation
    memorisation: MemorisationEvaluation
    stain: StainEvaluation

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``models.<name>`` gains."""
        return {
            "fidelity": self.fidelity.metrics,
            "memorisation": self.memorisation.metrics,
            "stain": self.stain.metrics,
        }


class Yardsticks:
    """Measures real patches when the first generator of a size asks, and scores generators against them.

    Parameters
    ----------
    spots
        All test spots.
    judge
        The metrics' network; the training pairs it saw fit the regressor of expression.
    settings
        Numbers of patches and resamples.
    seed
        Of draws.
    """

    def __init__(self, spots: TestSpots, judge: Judge, settings: EvaluationSettings, *, seed: int) -> None:
        self.spots, self.judge, self.settings, self.seed = spots, judge, settings, seed
        self._known: dict[int, Yardstick] = {}

    def at(self, resolution: int) -> Yardstick:
        """Give the yardstick for images of a size."""
        if resolution not in self._known:
            self._known[resolution] = self._measure(resolution)
        return self._known[resolution]

    def score(
        self,
        generated: NDArray[np.uint8],
        shuffled: NDArray[np.uint8],
        owner: NDArray[np.int64],
        shuffled_owner: NDArray[np.int64],
    ) -> ConditionScores:
        """Score images; owners are rows of the test spots."""
        from g2m_eval.fidelity.evaluate import evaluate_fidelity
        from g2m_eval.memorisation import evaluate_memorisation
        from g2m_eval.stain import evaluate_stain, measure_colour

        yardstick = self.at(generated.shape[1])
        times = self.settings.bootstrap
        return ConditionScores(
            fidelity=evaluate_fidelity(
                yardstick.fidelity,
                generated=generated,
                shuffled=shuffled,
                expression=self.spots.dataset.expression,
                genes=self.spots.dataset.genes,
                samples=self.spots.samples,
                spots=owner,
                shuffled_spots=shuffled_owner,
                truth=self.spots.truth,
                times=times,
                seed=self.seed,
            ),
            memorisation=evaluate_memorisation(yardstick.memorisation, generated, times=times),
            stain=evaluate_stain(
                train=yardstick.train_colour,
                test=yardstick.test_colour,
                generated=measure_colour(generated),
                samples=self.spots.samples,
                spots=owner,
                times=times,
                seed=self.seed,
            ),
        )

    def _measure(self, resolution: int) -> Yardstick:
        from g2m_cli.evaluation.scoring import training_patches
        from g2m_eval import resize_patches
        from g2m_eval.blocks import spatial_blocks
        from g2m_eval.extractors.features import stream_features
        from g2m_eval.fidelity.reference import measure_reference
        from g2m_eval.memorisation import measure_yardstick
        from g2m_eval.stain import measure_colour

        train, rows, extractor = self.judge.dataset, self.judge.rows, self.judge.extractor
        features = stream_features(self.judge.patches, extractor, resolution=resolution, track=track)
        places, sections = train.corners[:, ::-1].astype(np.float64), train.obs["sample"].to_numpy().astype(str)
        reference = measure_reference(
            extractor=extractor,
            classifier=None if self.judge.regions is None else extractor,
            train_features=features,
            train_expression=lambda some: train.expression(rows[some]),
            train_blocks=spatial_blocks(places[rows], float(train.patch_px), sections[rows]),
            real=self.spots.patches,
            again=second_looks(self.spots.dataset),
            patch_um=float(np.mean(self.spots.patch_um)),
            resolution=resolution,
        )
        compared, _ = training_patches(train, self.settings.memorisation_patches, self.seed)
        view = PatchesView(train, compared)
        if len(compared) != len(rows):
            features = stream_features(view, extractor, resolution=resolution, track=track)
        memorisation = measure_yardstick(
            extractor=extractor,
            train=view,
            features=features,
            xy=places[compared],
            width=float(train.patch_px),
            samples=sections[compared],
            test=self.spots.patches,
            resolution=resolution,
            queries=self.settings.memorisation_queries,
            seed=self.seed,
        )
        some = self.judge.patches[:: max(1, len(rows) // _COLOUR_PATCHES)]
        return Yardstick(
            fidelity=reference,
            memorisation=memorisation,
            train_colour=measure_colour(resize_patches(some, resolution)),
            test_colour=measure_colour(resize_patches(self.spots.patches, resolution)),
        )


def second_looks(dataset: PairedDataset) -> NDArray[np.uint8]:
    """Give each pair's patch displaced by a quarter of its width, to the right unless the slide ends there.

    The ceiling of what a patch can say of its spot: three quarters of it are the same tissue.
    """
    side = dataset.patch_px
    found = np.empty((len(dataset), side, side, 3), np.uint8)
    samples = dataset.obs["sample"].to_numpy().astype(str)
    for sample in dataset.samples:
        slide = dataset.slide(sample)
        for row in np.flatnonzero(samples == sample):
            top, left = (int(value) for value in dataset.corners[row])
            left += side // 4 if left + side // 4 + side <= slide.shape[1] else -(side // 4)
            found[row] = slide[top : top + side, left : left + side]
    return found
