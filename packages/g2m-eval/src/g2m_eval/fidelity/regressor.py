"""Expression from image features: a ridge regression, fitted on real training pairs that are read in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from jaxtyping import Float, Int

from g2m_eval.blocks import BESIDE
from g2m_eval.errors import InputError

Expression = Callable[[np.ndarray], np.ndarray]
"""Given rows, the log-normalised expression of those pairs, float32 (row, gene): called on a few thousand at a time."""

PENALTIES = tuple(10.0**e for e in range(-4, 3))
"""Of the ridge, in units of the variance of one standardised feature."""
_ROWS = 2048


@dataclass(frozen=True, kw_only=True)
class ExpressionRegressor:
    """What image features say about expression.

    Attributes
    ----------
    mean, scale
        Of the training patches' features, which are standardised first.
    coefficients, intercept
        Of the standardised features, for each gene.
    penalty
        The one of `PENALTIES` with the least held-out error.
    held_out
        Per gene, Pearson's r of predicted with true expression in blocks of the slide that were held out; NaN where a
        gene does not vary.
    n, blocks
        Training pairs, and blocks held out in turn.
    """

    mean: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    coefficients: Float[np.ndarray, "dim gene"]
    intercept: Float[np.ndarray, " gene"]
    penalty: float
    held_out: Float[np.ndarray, " gene"]
    n: int
    blocks: int

    def predict(
        self, features: Float[np.ndarray, "n dim"], genes: Int[np.ndarray, " chosen"]
    ) -> Float[np.ndarray, "n chosen"]:
        """Expression of some genes, float32."""
        standard = ((features - self.mean) / self.scale).astype(np.float32)
        return np.asarray(standard @ self.coefficients[:, genes] + self.intercept[genes])


@dataclass
class _Moments:
    """Sums over some pairs, from which every ridge solution and its error follow without seeing the pairs again."""

    n: float
    x: Float[np.ndarray, " dim"]
    xx: Float[np.ndarray, "dim dim"]
    y: Float[np.ndarray, " gene"]
    yy: Float[np.ndarray, " gene"]
    xy: Float[np.ndarray, "dim gene"]

    def __sub__(self, other: _Moments) -> _Moments:
        mine, theirs = vars(self), vars(other)
        return _Moments(**{key: mine[key] - theirs[key] for key in mine})

    def __add__(self, other: _Moments) -> _Moments:
        mine, theirs = vars(self), vars(other)
        return _Moments(**{key: mine[key] + theirs[key] for key in mine})


def fit_regressor(
    features: Float[np.ndarray, "n dim"],
    expression: Expression,
    blocks: Int[np.ndarray, " blocks"],
    *,
    penalties: tuple[float, ...] = PENALTIES,
) -> ExpressionRegressor:
    """Fit a ridge regression of all genes at once.

    Pairs are read once, in blocks of rows: what is kept are moments, ``dim x gene`` for each held-out block. One
    penalty for all genes, that with the least held-out squared error in units of each gene's variance.

    Parameters
    ----------
    features
        Of real training patches.
    expression
        Of the same pairs.
    blocks
        Block of each pair (`spatial_blocks`); each is predicted from the others. Pairs beside the blocks are used for
        the final fit alone.

    Raises
    ------
    InputError
        There are fewer than two blocks, or their number differs from that of the features.
    """
    if len(blocks) != len(features):
        raise InputError(f"fitting expression needs a block for each of {len(features)} pairs, got {len(blocks)}")
    names = np.unique(blocks[blocks != BESIDE])
    if len(names) < 2:
        raise InputError(
            f"fitting expression needs two or more blocks of training pairs to hold out in turn, found {len(names)} "
            f"among {len(features)} pairs: use more pairs or fewer blocks"
        )
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-8, scale, 1.0)
    held, everything = _collect((features - mean) / scale, expression, blocks, names)
    inner = reduce(add, held)
    penalty, held_out = _choose(held, inner, penalties)
    coefficients, intercept = _solve(everything, penalty)
    return ExpressionRegressor(
        mean=mean,
        scale=scale,
        coefficients=coefficients.astype(np.float32),
        intercept=intercept.astype(np.float32),
        penalty=penalty,
        held_out=held_out,
        n=len(features),
        blocks=len(names),
    )


def _collect(
    x: Float[np.ndarray, "n dim"], expression: Expression, blocks: Int[np.ndarray, " n"], names: Int[np.ndarray, " b"]
) -> tuple[list[_Moments], _Moments]:
    """Moments of each block, and of all pairs."""
    held: dict[int, _Moments] = {}
    for start in range(0, len(x), _ROWS):
        part = np.arange(start, min(start + _ROWS, len(x)))
        y = np.asarray(expression(part), dtype=np.float32)
        if len(y) != len(part):
            raise InputError(f"fitting expression needs one row a pair, got {len(y)} for {len(part)}")
        here = blocks[part]
        for name in np.unique(here):
            found = _moments(x[part][here == name], y[here == name])
            held[int(name)] = held[int(name)] + found if int(name) in held else found
    return [held[int(name)] for name in names], reduce(add, held.values())


def _moments(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "n gene"]) -> _Moments:
    single = x.astype(np.float32)  # of a few thousand standardised rows: single precision is enough
    return _Moments(
        n=float(len(x)),
        x=x.sum(axis=0),
        xx=x.T @ x,
        y=y.sum(axis=0, dtype=np.float64),
        yy=np.einsum("ng,ng->g", y, y, dtype=np.float64),
        xy=(single.T @ y).astype(np.float64),
    )


def _solve(m: _Moments, penalty: float) -> tuple[Float[np.ndarray, "dim gene"], Float[np.ndarray, " gene"]]:
    centre = m.x / m.n
    covariance = m.xx - np.outer(m.x, centre)
    right = m.xy - np.outer(centre, m.y)
    coefficients = np.linalg.solve(covariance + penalty * m.n * np.eye(len(centre)), right)
    return coefficients, m.y / m.n - centre @ coefficients


def _choose(
    held: list[_Moments], inner: _Moments, penalties: tuple[float, ...]
) -> tuple[float, Float[np.ndarray, " gene"]]:
    """The penalty of least held-out error, and each gene's held-out correlation under it."""
    variance = inner.yy / inner.n - (inner.y / inner.n) ** 2
    varies = variance > 1e-10
    best: tuple[float, float, np.ndarray] | None = None
    for penalty in penalties:
        p, pp, py = np.zeros((3, len(variance)))
        for part in held:
            b, b0 = _solve(inner - part, penalty)
            raw = part.x @ b  # sum of predictions without their intercept
            p += raw + part.n * b0
            pp += np.einsum("dg,dg->g", b, part.xx @ b) + 2 * b0 * raw + part.n * b0**2
            py += np.einsum("dg,dg->g", b, part.xy) + b0 * part.y
        error = (inner.yy - 2 * py + pp) / inner.n
        loss = float(np.mean(error[varies] / variance[varies])) if varies.any() else float("inf")
        if best is None or loss < best[0]:
            spread = np.maximum(pp / inner.n - (p / inner.n) ** 2, 0) * np.maximum(variance, 0)
            covariance = py / inner.n - p * inner.y / inner.n**2
            known = varies & (spread > 1e-20)
            r = np.where(known, covariance / np.sqrt(np.where(known, spread, 1.0)), np.nan)
            best = (loss, penalty, r)
    assert best is not None, "there is a penalty"
    return best[1], best[2]
