"""Is the spot found again from its image?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from g2m_eval.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """What was found for each query.

    Attributes
    ----------
    hits
        Probability that the query's own row is among the k most similar: 0 or 1, or between where rows are equally
        similar and the lot decides.
    k, n
        Neighbours looked at; rows they were looked for among.
    """

    hits: Float[np.ndarray, " query"]
    k: int
    n: int

    @property
    def share(self) -> float:
        """Share of queries that found their own row, in [0, 1]."""
        return float(self.hits.mean())

    @property
    def chance(self) -> float:
        """What unrelated queries reach: k / n."""
        return self.k / self.n


def retrieval_at_k(
    queries: Float[np.ndarray, "query dim"],
    gallery: Float[np.ndarray, "n dim_gallery"],
    own: Int[np.ndarray, " own"] | None = None,
    k: int = 5,
) -> Retrieval:
    """Look for each query's own row among the k rows of the gallery with the most similar direction.

    Equal similarities count as if their order were drawn by lot, exactly rather than by drawing: a collapsed space,
    where everything is equally similar, scores chance and not 0 or 1. So does a query of length 0.

    Parameters
    ----------
    queries, gallery
        Vectors of one space, centred as the caller finds right.
    own
        Row of the gallery that each query should find; by default they correspond one to one.

    Raises
    ------
    InputError
        The arrays do not belong together, are empty, hold infinite vectors, or k is not in 1..n.
    """
    partner = np.arange(len(queries)) if own is None else own
    if not len(queries) or not len(gallery) or queries.shape[1] != gallery.shape[1] or len(partner) != len(queries):
        raise InputError(
            f"retrieval needs vectors of one space and a row of the gallery for each query, got {queries.shape}, "
            f"{gallery.shape} and {len(partner)} rows"
        )
    if partner.min() < 0 or partner.max() >= len(gallery):
        raise InputError(f"retrieval: a query's own row {partner.max()} is not among {len(gallery)} of the gallery")
    if not 1 <= k <= len(gallery):
        raise InputError(f"retrieval among {len(gallery)} rows needs k between 1 and {len(gallery)}, got {k}")
    asked, keys = _normalise(queries), _normalise(gallery)
    hits = np.empty(len(asked))
    for start in range(0, len(asked), 1024):  # rows at a time: n x n would be 670 MB at 9132 spots
        rows = slice(start, start + 1024)
        similarity = asked[rows] @ keys.T
        its = similarity[np.arange(len(similarity)), partner[rows]][:, None]
        tolerance = 1e-9  # rounding must not order what is equal
        better = (similarity > its + tolerance).sum(axis=1)
        equal = (np.abs(similarity - its) <= tolerance).sum(axis=1)
        hits[rows] = np.clip((k - better) / equal, 0, 1)
    return Retrieval(hits=hits, k=k, n=len(gallery))


def _normalise(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    values = np.asarray(x, dtype=np.float64)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    if not np.isfinite(norm).all():
        raise InputError("embeddings contain NaN or infinite vectors: their direction is not defined")
    return np.asarray(values / np.where(norm > 0, norm, 1.0))
