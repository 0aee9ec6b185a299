"""Without truth: do generated patches vary over spots as the real patches of the same spots do?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from g2m_eval.errors import InputError
from g2m_eval.fidelity.factors import within_region_correlation
from g2m_eval.morphology import STATISTICS


def same_spot_correspondence(
    generated: pd.DataFrame,
    real: pd.DataFrame,
    group: ArrayLike,
    *,
    permutations: int = 1999,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlation over spots of each image statistic of generated patches with that of the real patch of the same spot.

    A generator that ignores its condition scores 0; one that draws every detail right scores 1. Real patches differ in
    what no spot's expression tells, so 1 is out of reach.

    Parameters
    ----------
    generated, real
        Results of ``image_statistics`` on patches of the same spots in the same order, at the same resolution.
    group
        Section of each spot (or section and region): correlations are computed within and averaged.

    Returns
    -------
    One row a statistic: statistic, rho (Spearman), p (permutation), n.

    Raises
    ------
    InputError
        The tables differ in length.
    """
    if len(generated) != len(real):
        raise InputError(f"statistics of the same spots are needed, got {len(generated)} and {len(real)} rows")
    groups = np.asarray(group, dtype=str)
    rows = []
    for name in STATISTICS:
        rho, p, n = within_region_correlation(generated[name], real[name], groups, permutations=permutations, seed=seed)
        rows.append({"statistic": name, "rho": rho, "p": p, "n": n})
    return pd.DataFrame(rows)
