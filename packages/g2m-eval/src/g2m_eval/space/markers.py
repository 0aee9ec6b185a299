"""Clusters named by their marker genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from g2m_eval.config import MarkerSet

UNNAMED = "unnamed"
"""What a cluster without a region is called, and a number."""
SPEAKS = 0.5
"""Least score (standard deviations above the section's mean) at which markers name a cluster."""


@dataclass(frozen=True, kw_only=True)
class MarkerExpression:
    """What the marker genes of each region say at each spot.

    Attributes
    ----------
    regions
        With at least one gene that varies here.
    scores
        Mean over a region's genes of expression, each gene in standard deviations from the mean of the spot's section.
    found
        Genes behind each region, as the panel spells them.
    absent
        Marker genes that the panel lacks, as the settings spell them.
    """

    regions: tuple[str, ...]
    scores: Float[np.ndarray, "spot region"]
    found: dict[str, tuple[str, ...]]
    absent: tuple[str, ...]

    def of(self, rows: Int[np.ndarray, " some"]) -> MarkerExpression:
        """Give some of the spots."""
        return replace(self, scores=self.scores[rows])


def marker_expression(
    expression: Float[np.ndarray, "spot gene"] | sparse.csr_matrix | sparse.csr_array,
    genes: Sequence[str],
    sample: ArrayLike,
    markers: Sequence[MarkerSet],
) -> MarkerExpression:
    """Look the markers up and standardise them within each section.

    Parameters
    ----------
    expression
        log1p of normalised counts, sparse or dense.
    genes
        Symbols of its columns. They match whatever their case, so that Umod finds a human UMOD; where a panel has a
        symbol twice, the first counts. Nothing else is translated: an orthologue of another name has to be named.
    sample
        Section of each spot.
    markers
        Regions and their genes.
    """
    columns: dict[str, int] = {}
    for place, gene in enumerate(genes):
        columns.setdefault(gene.casefold(), place)
    of = np.asarray(sample, dtype=str)
    regions, scores, found = [], [], {}
    for entry in markers:
        here = [columns[gene.casefold()] for gene in entry.genes if gene.casefold() in columns]
        if not here:
            continue
        part = expression[:, here]
        dense = part.toarray() if sparse.issparse(part) else np.asarray(part)
        regions.append(entry.region)
        scores.append(_standardised(dense.astype(np.float64), of).mean(axis=1))
        found[entry.region] = tuple(genes[place] for place in here)
    return MarkerExpression(
        regions=tuple(regions),
        scores=np.stack(scores, axis=1) if scores else np.zeros((len(of), 0)),
        found=found,
        absent=tuple(gene for entry in markers for gene in entry.genes if gene.casefold() not in columns),
    )


def _standardised(values: Float[np.ndarray, "spot gene"], sample: np.ndarray) -> Float[np.ndarray, "spot gene"]:
    """Standard deviations from the section's mean; 0 where a gene does not vary in a section: it says nothing there."""
    out = np.zeros_like(values)
    for name in np.unique(sample):
        rows = sample == name
        spread = values[rows].std(axis=0)
        out[rows] = (values[rows] - values[rows].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return out


@dataclass(frozen=True, kw_only=True)
class ClusterNames:
    """Names of the clusters of one clustering.

    Attributes
    ----------
    names
        By cluster.
    scores
        A row a cluster, a column a region: mean marker score over the cluster's spots.
    clear
        Whether the region is the cluster's loudest and the cluster the region's loudest; false for unnamed ones.
    """

    names: tuple[str, ...]
    scores: pd.DataFrame
    clear: tuple[bool, ...]

    @property
    def unnamed(self) -> int:
        """How many clusters no marker speaks for."""
        return sum(name.startswith(UNNAMED) for name in self.names)


def name_clusters(labels: Int[np.ndarray, " spot"], markers: MarkerExpression) -> ClusterNames:
    """Name clusters by the regions whose markers speak in them, one to one.

    Scores from `SPEAKS` on count. Of all ways to give a region to one cluster at most and a cluster one region at most,
    that with the highest sum of them is taken (Kuhn 1955); clusters without a region are "unnamed 1", "unnamed 2", ...

    Parameters
    ----------
    labels
        Cluster of each spot, from 0.
    markers
        Of the same spots.
    """
    count = int(labels.max()) + 1
    scores = np.stack([markers.scores[labels == cluster].mean(axis=0) for cluster in range(count)])
    names, clear = [""] * count, [False] * count
    speaking = np.where(scores >= SPEAKS, scores, 0.0)
    for cluster, region in zip(*linear_sum_assignment(speaking, maximize=True), strict=True):
        if scores[cluster, region] >= SPEAKS:
            names[cluster] = markers.regions[region]
            clear[cluster] = bool(
                scores[cluster, region] == scores[cluster].max() and scores[cluster, region] == scores[:, region].max()
            )
    nameless = [place for place, name in enumerate(names) if not name]
    for number, place in enumerate(nameless, start=1):
        names[place] = f"{UNNAMED} {number}"
    return ClusterNames(
        names=tuple(names), scores=pd.DataFrame(scores, columns=list(markers.regions)), clear=tuple(clear)
    )
