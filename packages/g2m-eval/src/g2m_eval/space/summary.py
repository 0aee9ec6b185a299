"""What clusters and their names come to: entries of metrics.json, a table, warnings, the check against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped

from g2m_eval.fidelity.regions import score_regions
from g2m_eval.intervals import bootstrap
from g2m_eval.space.clustering import Clustering
from g2m_eval.space.markers import UNNAMED, ClusterNames


@dataclass(frozen=True, kw_only=True)
class NamedClusters:
    """Clusters of some spots, with names.

    Attributes
    ----------
    rows
        Which spots.
    clustering, names
        Their clusters, and what those are called.
    """

    rows: Int[np.ndarray, " some"]
    clustering: Clustering
    names: ClusterNames

    @property
    def labels(self) -> Shaped[np.ndarray, " some"]:
        """Name of each spot's cluster."""
        return np.take(np.array(self.names.names, dtype=str), self.clustering.labels)


def describe_clusters(found: NamedClusters) -> dict[str, Any]:
    """Give what ``metrics.json`` holds of one clustering."""
    return {
        "number": found.clustering.number,
        "resolution": found.clustering.resolution,
        "neighbours": found.clustering.neighbours,
        "unnamed": found.names.unnamed,
    }


def told_apart(labels: Shaped[np.ndarray, " spot"], sample: Shaped[np.ndarray, " spot"]) -> list[str]:
    """Give unnamed clusters their section's name: "unnamed 1" of two sections have nothing to do with each other."""
    return [
        f"{name} of {section}" if name.startswith(UNNAMED) else name
        for name, section in zip(labels.tolist(), sample.tolist(), strict=True)
    ]


def cluster_table(clusterings: Mapping[str, NamedClusters]) -> pd.DataFrame:
    """Give a row a cluster: clustering, cluster, spots, share, resolution, clear, a marker score for each region."""
    rows = []
    for title, found in clusterings.items():
        counts = np.bincount(found.clustering.labels)
        for cluster, name in enumerate(found.names.names):
            rows.append(
                {
                    "clustering": title,
                    "cluster": name,
                    "spots": int(counts[cluster]),
                    "share": counts[cluster] / counts.sum(),
                    "resolution": found.clustering.resolution,
                    "clear": found.names.clear[cluster],
                    **found.names.scores.iloc[cluster].to_dict(),
                }
            )
    return pd.DataFrame(rows)


def names_against_truth(
    names: Shaped[np.ndarray, " spot"], region: Shaped[np.ndarray, " spot"], *, seed: int = 0
) -> dict[str, Any]:
    """Score the names of spots' clusters against their true regions; a spot of an unnamed cluster counts as wrong.

    Parameters
    ----------
    names, region
        Name of the joint cluster and true region of each spot, on pure windows.
    seed
        Of the interval, which resamples spots within their regions with the clusters as they are.
    """
    right = names == region
    weight = 1 / np.unique(region, return_counts=True)[1]
    place = np.unique(region, return_inverse=True)[1]

    def balanced(rows: Int[np.ndarray, " spot"]) -> float:
        return float((np.bincount(place[rows], weights=right[rows], minlength=len(weight)) * weight).mean())

    return {
        "balanced_accuracy": bootstrap(balanced, len(names), seed=seed, strata=region).to_dict(),
        "recall": score_regions(region, names).recall,
        "spots": len(names),
    }


def space_warnings(metrics: Mapping[str, Any], *, sections: int) -> list[str]:
    """Plain sentences about what the clusters do not show."""
    return list(_sentences(metrics, sections))


def _sentences(metrics: Mapping[str, Any], sections: int) -> Iterator[str]:
    if sections == 1:
        yield "There is one test section: clusters of several sections cannot be compared, and no ARI is given."
    of_each = {"all test sections": metrics["joint"], "raw expression": metrics["expression"]}
    for where, found in {**of_each, **metrics["samplewise"]}.items():
        if found["number"] != metrics["wanted"]:
            yield (
                f"No resolution gave {metrics['wanted']} clusters of {where}: {found['number']} are shown, the nearest "
                f"number found."
            )
    markers = metrics["markers"]
    present = sum(len(genes) for genes in markers["found"].values())
    if markers["absent"]:
        yield (
            f"{len(markers['absent'])} of {len(markers['absent']) + present} marker genes are not in the panel: "
            f"{', '.join(markers['absent'])}."
        )
    clusterings = {"all test sections": metrics["joint"], **metrics["samplewise"]}
    unnamed = [f"{found['unnamed']} of {where}" for where, found in clusterings.items() if found["unnamed"]]
    if unnamed:
        yield (
            f"No marker speaks for some clusters ({', '.join(unnamed)}): they are called unnamed, and an unnamed "
            f"cluster of one section has nothing to do with that of another. Markers of another tissue are given with "
            f"space.markers."
        )
