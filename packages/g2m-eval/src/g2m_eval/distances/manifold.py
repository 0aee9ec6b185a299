"""Precision, recall, density and coverage: are generated patches among the real ones, and do they reach all of them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from g2m_eval.errors import InputError

PRECISION_NEIGHBOURS = 3
"""Of precision and recall (Kynkäänniemi et al. 2019)."""
DENSITY_NEIGHBOURS = 5
"""Of density and coverage (Naeem et al. 2020)."""
_ROWS, _COLUMNS = 1024, 4096


@dataclass(frozen=True, kw_only=True)
class Neighbourhoods:
    """Which images lie in whose neighbourhood, a ball that reaches to the k-th nearest image of the same set.

    Attributes
    ----------
    realistic
        Of each generated image: it lies in a real image's neighbourhood.
    surrounding
        Of each generated image: how many real neighbourhoods it lies in.
    reached
        Of each real image: it lies in a generated image's neighbourhood.
    covered
        Of each real image: a generated image lies in its neighbourhood.
    density_neighbours
        k of ``surrounding`` and ``covered``.
    """

    realistic: Bool[np.ndarray, " n_generated"]
    surrounding: Int[np.ndarray, " n_generated"]
    reached: Bool[np.ndarray, " n_real"]
    covered: Bool[np.ndarray, " n_real"]
    density_neighbours: int

    @property
    def precision(self) -> float:
        """Share of generated images among the real ones."""
        return float(self.realistic.mean())

    @property
    def recall(self) -> float:
        """Share of real images among the generated ones."""
        return float(self.reached.mean())

    @property
    def density(self) -> float:
        """Real neighbourhoods that a generated image lies in, over k: about 1 where both sets are alike, or more."""
        return float(self.surrounding.mean() / self.density_neighbours)

    @property
    def coverage(self) -> float:
        """Share of real images with a generated one near by."""
        return float(self.covered.mean())


def precision(
    real: Float[np.ndarray, "n_real dim_a"],
    generated: Float[np.ndarray, "n_generated dim_b"],
    *,
    neighbours: int = PRECISION_NEIGHBOURS,
) -> float:
    """Share of generated images within the k-th neighbour's distance of a real one (Kynkäänniemi et al. 2019, Eq. 2).

    Raises
    ------
    InputError
        A set has no more than k images, dimensions differ, or features are not finite.
    """
    return find_neighbourhoods(real, generated, precision_neighbours=neighbours, density_neighbours=1).precision


def recall(
    real: Float[np.ndarray, "n_real dim_a"],
    generated: Float[np.ndarray, "n_generated dim_b"],
    *,
    neighbours: int = PRECISION_NEIGHBOURS,
) -> float:
    """Share of real images within the k-th neighbour's distance of a generated one (Kynkäänniemi et al. 2019, Eq. 2).

    Raises as `precision`.
    """
    return find_neighbourhoods(real, generated, precision_neighbours=neighbours, density_neighbours=1).recall


def density(
    real: Float[np.ndarray, "n_real dim_a"],
    generated: Float[np.ndarray, "n_generated dim_b"],
    *,
    neighbours: int = DENSITY_NEIGHBOURS,
) -> float:
    """Real neighbourhoods that a generated image lies in, over k (Naeem et al. 2020, Eq. 4); raises as `precision`.

    One real outlier with a wide neighbourhood raises precision to 1; here it counts as one of k.
    """
    return find_neighbourhoods(real, generated, precision_neighbours=1, density_neighbours=neighbours).density


def coverage(
    real: Float[np.ndarray, "n_real dim_a"],
    generated: Float[np.ndarray, "n_generated dim_b"],
    *,
    neighbours: int = DENSITY_NEIGHBOURS,
) -> float:
    """Share of real images whose neighbourhood holds a generated one (Naeem et al. 2020, Eq. 5); raises as `precision`.

    Unlike recall it rests on real neighbourhoods alone, which generated outliers cannot widen.
    """
    return find_neighbourhoods(real, generated, precision_neighbours=1, density_neighbours=neighbours).coverage


def find_neighbourhoods(
    real: Float[np.ndarray, "n_real dim_a"],
    generated: Float[np.ndarray, "n_generated dim_b"],
    *,
    precision_neighbours: int = PRECISION_NEIGHBOURS,
    density_neighbours: int = DENSITY_NEIGHBOURS,
    rows: int = _ROWS,
    columns: int = _COLUMNS,
) -> Neighbourhoods:
    """Find what all four numbers rest on, in blocks of ``rows`` x ``columns`` distances.

    Distances are exact (float64), so that no number depends on how they were cut into blocks. All four depend on the
    number of images on either side: compare only numbers that share both.

    Raises
    ------
    InputError
        A set has no more than k images, dimensions differ, or features are not finite.
    """
    most = max(precision_neighbours, density_neighbours)
    if min(precision_neighbours, density_neighbours) < 1 or most >= min(len(real), len(generated)):
        raise InputError(
            f"{most} nearest neighbours need more than {most} images a set, got {len(real)} real and {len(generated)} "
            "generated: compare more images or fewer neighbours"
        )
    if real.shape[1] != generated.shape[1]:
        raise InputError(
            f"features of {real.shape[1]} and {generated.shape[1]} dimensions cannot be compared: use one extractor "
            "for both"
        )
    centre = np.asarray(real.mean(axis=0, dtype=np.float64))  # distances lose digits far from the origin
    a, b = _Points(real, centre), _Points(generated, centre)
    # two equal images may come out a rounding error apart, and must still count as near
    slack = 1e-12 * max(a.largest, b.largest)
    nearest_real = _nearest(a, most, rows, columns) + slack
    nearest_generated = _nearest(b, precision_neighbours, rows, columns)[:, -1] + slack
    wide, narrow = nearest_real[:, precision_neighbours - 1], nearest_real[:, density_neighbours - 1]
    realistic = np.zeros(len(generated), dtype=bool)
    surrounding = np.zeros(len(generated), dtype=np.int64)
    reached, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for here in _blocks(len(generated), rows):
        x = b[here]
        for there in _blocks(len(real), columns):
            apart = _squared_distances(x, a[there])
            realistic[here] |= (apart <= torch.from_numpy(wide[there])).any(dim=1).numpy()
            within = apart <= torch.from_numpy(narrow[there])
            surrounding[here] += within.sum(dim=1).numpy()
            covered[there] |= within.any(dim=0).numpy()
            reached[there] |= (apart <= torch.from_numpy(nearest_generated[here])[:, None]).any(dim=0).numpy()
    return Neighbourhoods(
        realistic=realistic,
        surrounding=surrounding,
        reached=reached,
        covered=covered,
        density_neighbours=density_neighbours,
    )


class _Points:
    """Features about a centre, a block at a time in float64."""

    def __init__(self, features: Float[np.ndarray, "n dim"], centre: Float[np.ndarray, " dim"]) -> None:
        self.features, self.centre = features, centre
        self.largest = 0.0
        for part in _blocks(len(features), _COLUMNS):
            largest = float((self[part] ** 2).sum(dim=1).max())
            if not np.isfinite(largest):
                raise InputError("features contain NaN or infinity: check the extractor and the images it was given")
            self.largest = max(self.largest, largest)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, part: slice) -> Any:
        return torch.from_numpy(np.asarray(self.features[part], dtype=np.float64) - self.centre)


def _nearest(points: _Points, neighbours: int, rows: int, columns: int) -> Float[np.ndarray, "n neighbours"]:
    """Squared distances to the nearest others of the same set, in rising order."""
    found = np.empty((len(points), neighbours))
    for here in _blocks(len(points), rows):
        x = points[here]
        best = torch.full((len(x), neighbours), torch.inf, dtype=torch.float64)
        for there in _blocks(len(points), columns):
            apart = _squared_distances(x, points[there])
            first, last = max(here.start, there.start), min(here.stop, there.stop)
            itself = torch.arange(first, max(first, last))
            apart[itself - here.start, itself - there.start] = torch.inf
            kept = apart.topk(min(neighbours, apart.shape[1]), largest=False).values
            best = torch.cat([best, kept], dim=1).topk(neighbours, largest=False).values
        found[here] = best.sort(dim=1).values.numpy()
    return found


def _squared_distances(x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"]) -> Float[Tensor, "n m"]:
    squares = (y * y).sum(dim=1) + (x * x).sum(dim=1, keepdim=True)
    return torch.addmm(squares, x, y.T, alpha=-2).clamp_(min=0)


def _blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
