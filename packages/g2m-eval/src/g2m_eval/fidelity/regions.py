"""Are patches of the region they should be? Scores of a classifier, and the classifier that sees only mean colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.typing import ArrayLike
from sklearn.ensemble import HistGradientBoostingClassifier

from g2m_eval.errors import InputError


@dataclass(frozen=True, kw_only=True)
class RegionScores:
    """Agreement of predicted with true regions.

    Attributes
    ----------
    regions
        Regions in the order of the matrix: those that occur in truth, then those only predicted.
    confusion
        Counts; rows are the truth, columns what was predicted.
    """

    regions: tuple[str, ...]
    confusion: Int[np.ndarray, "region region"]

    @property
    def recall(self) -> dict[str, float]:
        """Share recognised of each region that occurs."""
        totals = self.confusion.sum(axis=1)
        return {name: float(self.confusion[i, i] / totals[i]) for i, name in enumerate(self.regions) if totals[i] > 0}

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the regions that occur, in [0, 1]: large regions count no more than small ones."""
        return float(np.mean(list(self.recall.values())))

    @property
    def n(self) -> int:
        """Patches scored."""
        return int(self.confusion.sum())


def score_regions(truth: ArrayLike, predicted: ArrayLike, *, order: Sequence[str] | None = None) -> RegionScores:
    """Confusion matrix, recalls and balanced accuracy.

    Parameters
    ----------
    truth, predicted
        One region a patch.
    order
        Preferred order of regions (cortex to papilla, say); alphabetical otherwise.

    Raises
    ------
    InputError
        The two differ in length, or are empty.
    """
    true, guess = np.asarray(truth, dtype=str), np.asarray(predicted, dtype=str)
    if len(true) != len(guess) or len(true) == 0:
        raise InputError(f"scoring regions needs one prediction a patch and a patch, got {len(true)} and {len(guess)}")
    rank = {name: i for i, name in enumerate(order or ())}
    occurring = set(true.tolist())
    names = sorted(occurring | set(guess.tolist()), key=lambda s: (s not in occurring, rank.get(s, len(rank)), s))
    index = {name: i for i, name in enumerate(names)}
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, ([index[s] for s in true.tolist()], [index[s] for s in guess.tolist()]), 1)
    return RegionScores(regions=tuple(names), confusion=confusion)


class MeanColourClassifier:
    """Tells regions apart by the mean red, green and blue of a patch alone, as well as that can be done.

    Its accuracy on real patches is what a generator earns by getting the colour right and nothing else: where it is
    high, region accuracy proves little. Boosted trees weighted to equal regions, which follow any boundary in colour
    space.

    Parameters
    ----------
    colours
        Of patches, as `mean_colour` gives them.
    regions
        Of each.
    """

    def __init__(self, colours: Float[np.ndarray, "n 3"], regions: ArrayLike, *, seed: int = 0) -> None:
        labels = np.asarray(regions, dtype=str)
        if len(labels) != len(colours) or len(set(labels.tolist())) < 2:
            raise InputError(
                f"a classifier needs one region a patch and two regions, got {len(colours)}, {len(labels)}"
            )
        self._model: Any = HistGradientBoostingClassifier(
            class_weight="balanced", learning_rate=0.06, max_iter=120, max_leaf_nodes=12, l2_regularization=1.0,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        self._model.fit(colours, labels)

    def predict(self, colours: Float[np.ndarray, "n 3"]) -> np.ndarray:
        """Region of each patch."""
        return np.asarray(self._model.predict(colours), dtype=str)


def mean_colour(patches: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n 3"]:
    """Mean red, green and blue of each patch, in 0..255."""
    n, height, width, _ = patches.shape
    columns = patches.reshape(n, height, 3 * width).sum(axis=1, dtype=np.uint32)  # along contiguous rows: many at once
    return np.asarray(columns.reshape(n, width, 3).sum(axis=1) / (height * width))
