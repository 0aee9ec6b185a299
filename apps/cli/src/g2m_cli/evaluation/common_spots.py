"""Generators that were drawn at different spots, scored once more at those they share, so that they can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.console import say
from g2m_cli.evaluation.scoring import compare_with_real
from g2m_cli.generation import read_generated

if TYPE_CHECKING:
    from g2m_cli.evaluation.scoring import GeneratorScores, Judge
    from g2m_cli.study import Study
    from g2m_eval import EvaluationSettings

_KEPT = (
    "n",
    "distances",
    "distances_real",
    "region_accuracy",
    "region_accuracy_real",
    "region_accuracy_mean_rgb",
    "factors",
)


def score_at_common_spots(
    study: Study,
    scores: Mapping[str, GeneratorScores],
    judge: Judge,
    settings: EvaluationSettings,
    *,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Give ``models.<name>.at_common_spots`` of each generator that was drawn at more spots, or several times a spot.

    One image is taken of each spot that all generators share. Nothing is given where all have the same images anyway,
    nor of spots too few to compare.
    """
    from g2m_eval.distances.manifold import DENSITY_NEIGHBOURS

    common = reduce(np.intersect1d, (score.spots.obs.index.to_numpy().astype(str) for score in scores.values()))
    larger = [name for name, score in scores.items() if score.metrics["n"]["generated"] > len(common)]
    if len(scores) < 2 or len(common) <= DENSITY_NEIGHBOURS:
        return {}
    found = {}
    for name in larger:
        say(f"{name}: once more, at the {len(common)} spots that all generators were drawn at")
        score = scores[name]
        rows = np.flatnonzero(score.spots.obs.index.isin(common))
        drawn = score.spots.only(rows)
        shuffled, index, _ = read_generated(study.generated(f"{name}-shuffled"))
        first = index.reset_index(drop=True).drop_duplicates("spot")
        metrics = compare_with_real(
            drawn,
            judge,
            settings,
            generated=score.generated[rows],
            shuffled=shuffled[first.index[first["spot"].isin(common)]],
            seed=seed,
        ).metrics
        found[name] = {key: metrics[key] for key in _KEPT if key in metrics}
    return found
