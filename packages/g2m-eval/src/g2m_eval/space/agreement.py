"""Do clusters agree with one another, with the sections, with the truth? The paper's three numbers and three more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score

from g2m_eval.errors import InputError


def ari(a: ArrayLike, b: ArrayLike) -> float:
    """Adjusted Rand index of two labellings: 1 = the same partition, 0 = as alike as chance makes them.

    NaN where one of them has a single label: nothing can agree or disagree with it. Source: Hubert and Arabie 1985.
    """
    first, second = np.asarray(a, dtype=str), np.asarray(b, dtype=str)
    if len(first) != len(second):
        raise InputError(f"two labellings of the same spots are needed, got {len(first)} and {len(second)} labels")
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return float("nan")
    return float(adjusted_rand_score(first, second))


def joint_vs_samplewise(joint: ArrayLike, samplewise: ArrayLike, sample: ArrayLike) -> dict[str, float]:
    """ARI, within each sample, of joint clusters with that sample's own clusters.

    Parameters
    ----------
    joint, samplewise, sample
        Joint cluster, cluster of the spot's own sample, and sample of each spot. Labels of different samples' own
        clusters are never compared.
    """
    together, own, of = (np.asarray(labels, dtype=str) for labels in (joint, samplewise, sample))
    return {name: ari(together[of == name], own[of == name]) for name in np.unique(of).tolist()}


def cluster_agreement(
    *,
    sample: ArrayLike,
    joint: ArrayLike,
    samplewise: ArrayLike,
    expression: ArrayLike,
    region: ArrayLike | None = None,
) -> dict[str, float]:
    """Give the ``ari_*`` entries of ``clusters`` in ``metrics.json``, over the test spots of all sections.

    Parameters
    ----------
    sample
        Section of each spot.
    joint
        Its cluster among all sections' embeddings.
    samplewise
        Its cluster among its own section's embeddings; a name that two sections share stands for one region.
    expression
        Its cluster among all sections' principal components of raw expression.
    region
        Its true region, empty where unknown; on a phantom.

    Returns
    -------
    - ``ari_joint_vs_samplewise``: mean over samples of ARI(joint labels within the sample, that sample's own clusters);
    - ``ari_joint_vs_samplewise_pooled``: ARI(joint labels, the samples' own clusters) over all spots at once. The paper
      does not say which of the two its 0.79 is: the first asks nothing of names, the second counts every spot alike and
      a region that goes by another name in one section as a disagreement;
    - ``ari_joint_vs_sample``: ARI(joint labels, sample);
    - ``ari_expression_vs_sample``: the same of joint clusters found in raw expression;
    - with regions, ``ari_region_vs_sample``: what a perfect clustering would score against the sample, since sections
      differ in composition; and ``ari_joint_vs_region``.

    All NaN but the last where there is one section: there is nothing joint to compare.
    """
    of = np.asarray(sample, dtype=str)
    several = len(np.unique(of)) > 1
    each = list(joint_vs_samplewise(joint, samplewise, of).values())
    found = {
        "ari_joint_vs_samplewise": float(np.mean(each)) if several else float("nan"),
        "ari_joint_vs_samplewise_pooled": ari(joint, samplewise) if several else float("nan"),
        "ari_joint_vs_sample": ari(joint, of),
        "ari_expression_vs_sample": ari(expression, of),
    }
    if region is not None:
        true = np.asarray(region, dtype=str)
        known = true != ""
        found["ari_region_vs_sample"] = ari(true[known], of[known])
        found["ari_joint_vs_region"] = ari(np.asarray(joint, dtype=str)[known], true[known])
    return found
