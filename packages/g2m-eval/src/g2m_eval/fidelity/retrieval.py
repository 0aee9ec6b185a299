"""Does each row of one space find its partner in another?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from g2m_eval.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Share of rows whose partner is among the k most similar.

    Attributes
    ----------
    a_to_b, b_to_a
        Either direction, in [0, 1].
    chance
        What unrelated embeddings reach: k / n.
    k, n
        Neighbours looked at; pairs compared.
    """

    a_to_b: float
    b_to_a: float
    chance: float
    k: int
    n: int

    @property
    def mean(self) -> float:
        """Mean of both directions."""
        return (self.a_to_b + self.b_to_a) / 2


def retrieval_at_k(a: Float[np.ndarray, "n_a dim_a"], b: Float[np.ndarray, "n_b dim_b"], k: int = 5) -> Retrieval:
    """Cosine retrieval of row i of ``b`` from row i of ``a`` and back.

    Equal similarities count as if their order were drawn by lot, exactly rather than by drawing: a collapsed space,
    where everything is equally similar, scores chance and not 0 or 1.

    Raises
    ------
    InputError
        The arrays are not paired, are empty, hold zero or infinite vectors, or k is not in 1..n.
    """
    if a.shape != b.shape or len(a) == 0:
        raise InputError(f"retrieval needs paired embeddings of one shape, got {a.shape} and {b.shape}")
    if not 1 <= k <= len(a):
        raise InputError(f"retrieval among {len(a)} pairs needs k between 1 and {len(a)}, got {k}")
    first, second = _normalise(a), _normalise(b)
    return Retrieval(
        a_to_b=_hit_share(first, second, k), b_to_a=_hit_share(second, first, k), chance=k / len(a), k=k, n=len(a)
    )


def _hit_share(queries: Float[np.ndarray, "n dim"], keys: Float[np.ndarray, "n dim"], k: int) -> float:
    hits = 0.0
    for start in range(0, len(queries), 1024):  # rows at a time: n x n would be 670 MB at 9132 spots
        rows = np.arange(start, min(start + 1024, len(queries)))
        similarity = queries[rows] @ keys.T
        own = similarity[np.arange(len(rows)), rows][:, None]
        tolerance = 1e-9  # rounding must not order what is equal
        better = (similarity > own + tolerance).sum(axis=1)
        equal = (np.abs(similarity - own) <= tolerance).sum(axis=1)
        hits += float(np.clip((k - better) / equal, 0, 1).sum())
    return hits / len(queries)


def _normalise(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    values = np.asarray(x, dtype=np.float64)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    if not np.isfinite(norm).all() or (norm == 0).any():
        raise InputError("embeddings contain zero, NaN or infinite vectors: their direction is not defined")
    return np.asarray(values / norm)
