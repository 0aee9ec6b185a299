"""What real patches say, measured once and shared by all generators that are scored against them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from g2m_eval.errors import InputError
from g2m_eval.evaluate import RegionClassifier
from g2m_eval.extractors.base import Extractor
from g2m_eval.fidelity.nuclei import Segmenter, measure_nuclei
from g2m_eval.fidelity.regressor import Expression, ExpressionRegressor, fit_regressor
from g2m_eval.resize import resize_patches


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Everything that fidelity reads from one set of patches.

    Attributes
    ----------
    features
        Of the extractor.
    nuclei
        Of `measure_nuclei`.
    regions
        As classified; None without a classifier.
    """

    features: Float[np.ndarray, "n dim"]
    nuclei: pd.DataFrame
    regions: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class FidelityReference:
    """The ceiling and the yardsticks, at one size of patches.

    Attributes
    ----------
    extractor, resolution, mpp, classifier, segment
        How patches are looked at, generated ones too.
    real
        The real patch of every test spot.
    again
        A second look: the real patch displaced by a quarter of its width.
    regressor
        Expression from features, of real training pairs.
    """

    extractor: Extractor
    resolution: int
    mpp: float
    classifier: RegionClassifier | None
    segment: Segmenter | None
    real: Looks
    again: Looks
    regressor: ExpressionRegressor

    def look(self, patches: UInt8[np.ndarray, "n height width 3"]) -> Looks:
        """Look at other patches of the same size in the same way."""
        return _look(patches, self.extractor, self.resolution, self.mpp, self.classifier, self.segment)


def measure_reference(
    *,
    extractor: Extractor,
    train_features: Float[np.ndarray, "n_train dim"],
    train_expression: Expression,
    train_blocks: Int[np.ndarray, " n_train"],
    real: UInt8[np.ndarray, "n height width 3"],
    again: UInt8[np.ndarray, "n height width 3"],
    patch_um: float,
    resolution: int,
    classifier: RegionClassifier | None = None,
    segment: Segmenter | None = None,
) -> FidelityReference:
    """Look at the real patches and fit the regressor of expression.

    Parameters
    ----------
    extractor
        A network that took no part in training a generator.
    train_features, train_expression, train_blocks
        Of real training pairs: the extractor's features at ``resolution``, expression, and the block of the slide in
        which each lies (`g2m_eval.blocks.spatial_blocks`).
    real
        Patch of every test spot.
    again
        The same displaced by a quarter of its width.
    patch_um
        Width of the patches.
    resolution
        Pixels a side of the generated patches, to which real ones are brought.
    classifier
        Names the region of each patch, where regions are known.
    segment
        Segmentation of nuclei other than the classical one.

    Raises
    ------
    InputError
        Real patches and second looks differ in number, or the training pairs cannot be cut into blocks.
    """
    if len(real) != len(again):
        raise InputError(f"fidelity needs a second look for each real patch, got {len(again)} for {len(real)}")
    mpp = patch_um / resolution
    regressor = fit_regressor(train_features, train_expression, train_blocks)
    first = _look(real, extractor, resolution, mpp, classifier, segment)
    second = _look(again, extractor, resolution, mpp, None, segment)  # regions of real patches are those of the first
    return FidelityReference(
        extractor=extractor,
        resolution=resolution,
        mpp=mpp,
        classifier=classifier,
        segment=segment,
        real=first,
        again=second,
        regressor=regressor,
    )


def _look(
    patches: UInt8[np.ndarray, "n height width 3"],
    extractor: Extractor,
    resolution: int,
    mpp: float,
    classifier: RegionClassifier | None,
    segment: Segmenter | None,
) -> Looks:
    small = resize_patches(patches, resolution)
    return Looks(
        features=extractor.features(small),
        nuclei=measure_nuclei(small, mpp, segment=segment),
        regions=None if classifier is None else np.asarray(classifier.predict(small), dtype=str),
    )
