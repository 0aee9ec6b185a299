"""The embedding space of a study, from arrays: clusters, their names, their agreement, layouts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Float, Int, Shaped

from g2m_eval.config import SpaceSettings
from g2m_eval.errors import InputError
from g2m_eval.evaluate import PURITY
from g2m_eval.report.markup import plain_values
from g2m_eval.space import keys
from g2m_eval.space.agreement import cluster_agreement, joint_vs_samplewise
from g2m_eval.space.clustering import find_clusters, principal_components
from g2m_eval.space.layout import lay_out, layout_of
from g2m_eval.space.markers import marker_expression, name_clusters
from g2m_eval.space.summary import (
    NamedClusters,
    cluster_table,
    describe_clusters,
    names_against_truth,
    space_warnings,
    told_apart,
)


@dataclass(frozen=True, kw_only=True)
class SpaceEvaluation:
    """What was found out about the embedding space.

    Attributes
    ----------
    metrics
        The entry ``clusters`` of ``metrics.json``.
    adata
        A row a spot, keys as in `g2m_eval.space.keys`; written as it is, it is ``space.h5ad``.
    clusters
        A row a cluster: clustering (joint, or the section), cluster, spots, share, resolution, clear, and a column of
        marker scores for each region.
    order
        Names of clusters in the order to show.
    warnings
        Plain sentences.
    """

    metrics: dict[str, Any]
    adata: AnnData
    clusters: pd.DataFrame
    order: tuple[str, ...]
    warnings: tuple[str, ...]


def evaluate_space(
    *,
    embeddings: AnnData,
    expression: AnnData,
    truth: pd.DataFrame | None = None,
    settings: SpaceSettings | None = None,
    seed: int = 0,
    track: Callable[..., Any] = lambda items, **_: items,
) -> SpaceEvaluation:
    """Cluster, name, compare and lay out the embeddings of a study (paper, Figures 3 and E.1).

    Parameters
    ----------
    embeddings
        Rows are all test spots and whichever training pairs are to be shown; X = embedding; obs = sample, split.
    expression
        The same rows; X = log1p of normalised counts, sparse or dense; var_names = gene symbols.
    truth
        Region and purity of every row, not-a-number where unknown; on a phantom.
    settings
        Clusters, neighbours, markers.
    seed
        Of clusters and layouts.
    track
        Passes a sequence through under a progress bar.

    Raises
    ------
    InputError
        Rows differ, there is no test spot, or a section has fewer spots than there are to be clusters.
    """
    chosen = settings or SpaceSettings()
    sample, test = _checked(embeddings, expression)
    points = np.asarray(embeddings.X, dtype=np.float32)
    how = {"clusters": chosen.clusters, "neighbours": chosen.neighbours, "seed": seed}

    markers = marker_expression(expression.X, list(expression.var_names), sample, chosen.markers)

    def clusters_among(rows: Int[np.ndarray, " some"], where: str) -> NamedClusters:
        clustering = find_clusters(points[rows], where=where, **how)
        return NamedClusters(rows=rows, clustering=clustering, names=name_clusters(clustering.labels, markers.of(rows)))

    samplewise = {
        name: clusters_among(np.flatnonzero(sample == name), f"section {name}")
        for name in track(list(dict.fromkeys(sample.tolist())), description="clusters of each section")
    }
    joint = clusters_among(test, "the test sections")
    components = principal_components(expression.X[test], components=chosen.components, seed=seed)
    in_expression = find_clusters(components, where="the test sections", **how)

    adata = AnnData(points, obs=embeddings.obs.copy(), obsm=dict(embeddings.obsm))
    own = np.full(len(sample), None, dtype=object)
    for found in samplewise.values():
        own[found.rows] = found.labels
    together, raw = np.full_like(own, None), np.full_like(own, None)
    together[test] = joint.labels
    raw[test] = [str(label + 1) for label in in_expression.labels]
    order = _in_order({*own.tolist(), *joint.labels.tolist()}, chosen)
    adata.obs[keys.SAMPLEWISE] = _categorical(own, order)
    adata.obs[keys.JOINT] = _categorical(together, order)
    adata.obs[keys.EXPRESSION] = pd.Categorical(raw, categories=[str(n + 1) for n in range(in_expression.number)])
    region = None if truth is None else truth["region"].astype(object).where(truth["region"].notna(), "").to_numpy(str)
    if region is not None:
        adata.obs[keys.REGION] = pd.Categorical(region)
    for space in track(("embedding", "expression"), description="layouts"):
        if space == "embedding":
            lay_out(adata, neighbours=chosen.neighbours, seed=seed)
        else:
            adata.obsm[keys.PCA_EXPRESSION] = _at(test, components, len(sample))
            layout = layout_of(components, neighbours=chosen.neighbours, seed=seed)
            adata.obsm[keys.UMAP_EXPRESSION] = _at(test, layout, len(sample))

    metrics: dict[str, Any] = cluster_agreement(
        sample=sample[test],
        joint=joint.labels,
        samplewise=told_apart(own[test].astype(str), sample[test]),
        expression=in_expression.labels,
        region=None if region is None else region[test],
    )
    each = joint_vs_samplewise(joint.labels, own[test].astype(str), sample[test])
    metrics |= {
        "spots": len(test),
        "training_pairs": len(sample) - len(test),
        "wanted": chosen.clusters,
        "seed": seed,
        "joint": describe_clusters(joint),
        "samplewise": {
            name: describe_clusters(found) | {"ari_with_joint": each.get(name)} for name, found in samplewise.items()
        },
        "expression": {
            "number": in_expression.number,
            "resolution": in_expression.resolution,
            "components": components.shape[1],
        },
        "markers": {"found": {r: list(g) for r, g in markers.found.items()}, "absent": list(markers.absent)},
    }
    if truth is not None and region is not None:
        pure = (truth["purity"].to_numpy(dtype=float)[test] >= PURITY) & (region[test] != "")
        if pure.any():
            metrics["names"] = names_against_truth(joint.labels[pure], region[test][pure], seed=seed)
    adata.uns[keys.CLUSTERS] = json.dumps(plain_values(metrics), allow_nan=False)
    return SpaceEvaluation(
        metrics=metrics,
        adata=adata,
        clusters=cluster_table({"joint": joint, **samplewise}),
        order=tuple(order),
        warnings=tuple(space_warnings(metrics, sections=len(set(sample[test].tolist())))),
    )


def _checked(embeddings: AnnData, expression: AnnData) -> tuple[Shaped[np.ndarray, " n"], Int[np.ndarray, " test"]]:
    for key in (keys.SAMPLE, keys.SPLIT):
        if key not in embeddings.obs:
            raise InputError(f"embeddings lack obs[{key!r}]: give the section and the split of every spot")
    if list(embeddings.obs_names) != list(expression.obs_names):
        raise InputError("embeddings and expression have different rows: give the same spots in the same order")
    test = np.flatnonzero((embeddings.obs[keys.SPLIT] == "test").to_numpy())
    if not len(test):
        raise InputError("no spot of split 'test' among the embeddings: clusters are compared on test sections")
    return embeddings.obs[keys.SAMPLE].to_numpy().astype(str), test


def _in_order(names: set[str], settings: SpaceSettings) -> list[str]:
    """Give the names in the order of the markers' regions, the unnamed last."""
    regions = [entry.region for entry in settings.markers if entry.region in names]
    return regions + sorted(names.difference(regions))


def _categorical(labels: Shaped[np.ndarray, " n"], order: Sequence[str]) -> pd.Categorical:
    present = set(labels.tolist())
    return pd.Categorical(labels, categories=[name for name in order if name in present])


def _at(
    rows: Int[np.ndarray, " some"], values: Float[np.ndarray, "some dim"], total: int
) -> Float[np.ndarray, "n dim"]:
    """Put values at some of all rows, not-a-number elsewhere."""
    out = np.full((total, values.shape[1]), np.nan, dtype=np.float32)
    out[rows] = values
    return out
