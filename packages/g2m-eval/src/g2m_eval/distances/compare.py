"""All distances between a generated set and a reference, with intervals, under one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from g2m_eval.distances.frechet import frechet_distance
from g2m_eval.distances.kernel import KernelDistance, kernel_distance
from g2m_eval.distances.manifold import DENSITY_NEIGHBOURS, find_neighbourhoods
from g2m_eval.distances.protocol import DistanceProtocol
from g2m_eval.distances.spread import (
    SpotGroups,
    check_spots,
    frechet_without_each,
    jackknife_interval,
    kernel_without_each,
    share_interval,
)
from g2m_eval.errors import InputError
from g2m_eval.intervals import Interval

NUMBERS = ("frechet", "kernel", "precision", "recall", "density", "coverage")
WIDE = 512
"""Dimensions above which a Fréchet distance takes seconds: fewer groups then."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Numbers of one protocol, each with the 95 % interval over other spots at the same number of images.

    The ends are NaN of fewer than 5 spots on a side. Where images do not far outnumber dimensions, intervals of the
    two distances are wider than they need be (`g2m_eval.distances.spread`).

    Attributes
    ----------
    protocol
        What they depend on.
    frechet
        Squared Fréchet distance.
    kernel
        Kernel distance: the mean over subsets.
    kernel_subsets
        That mean with the standard deviation over subsets, as papers give it: how subsets differ, not an interval.
    precision, recall
        Kynkäänniemi et al. 2019. Their intervals, and the next ones', take the neighbourhoods as they were found.
    density, coverage
        Naeem et al. 2020.
    """

    protocol: DistanceProtocol
    frechet: Interval
    kernel: Interval
    kernel_subsets: KernelDistance
    precision: Interval
    recall: Interval
    density: Interval
    coverage: Interval

    def to_dict(self) -> dict[str, Any]:
        """Give an entry of ``models.<name>.distances`` of ``metrics.json``."""
        subsets = self.kernel_subsets
        return {
            "protocol": self.protocol.to_dict(),
            **{name: getattr(self, name).to_dict() for name in NUMBERS},
            "kernel_sd": subsets.sd,
            "kernel_subsets": subsets.subsets,
            "kernel_subset_size": subsets.subset_size,
        }


def compare_sets(
    generated: Float[np.ndarray, "n_generated dim_a"],
    reference: Float[np.ndarray, "n_reference dim_b"],
    protocol: DistanceProtocol,
    *,
    generated_spots: ArrayLike | None = None,
    reference_spots: ArrayLike | None = None,
    kernel_subsets: int = 100,
    kernel_subset_size: int = 500,
) -> Distances:
    """Compute every distance between two sets of features.

    Intervals rest on 50 groups of spots, and on 20 of more than 512 dimensions, where each distance takes seconds.

    Parameters
    ----------
    generated, reference
        Features; memory-mapped ones are read in blocks.
    protocol
        What the numbers depend on; recorded with them.
    generated_spots, reference_spots
        Spot of each image, so that images of one spot are resampled together; each image its own by default. Equal
        labels on both sides are one spot.
    kernel_subsets, kernel_subset_size
        As of `kernel_distance`.

    Raises
    ------
    InputError
        The sets are not those of the protocol, or cannot be compared.
    """
    n_a, n_b = len(generated), len(reference)
    if (n_a, n_b) != (protocol.n_generated, protocol.n_reference):
        raise InputError(
            f"the protocol is of {protocol.n_generated} generated and {protocol.n_reference} reference images, got "
            f"{n_a} and {n_b}: describe the sets that are compared"
        )
    of_a = np.array([f"generated {i}" for i in range(n_a)]) if generated_spots is None else generated_spots
    of_b = np.array([f"reference {i}" for i in range(n_b)]) if reference_spots is None else reference_spots
    groups = SpotGroups.draw(
        check_spots(of_a, n_a, "generated"),
        check_spots(of_b, n_b, "reference"),
        groups=20 if generated.shape[1] > WIDE else 50,
        seed=protocol.seed,
    )
    frechet = jackknife_interval(
        frechet_distance(generated, reference), frechet_without_each(generated, reference, groups)
    )
    subsets = kernel_distance(
        generated, reference, subsets=kernel_subsets, subset_size=kernel_subset_size, seed=protocol.seed
    )
    near = find_neighbourhoods(reference, generated)

    def share(value: float, each: np.ndarray, of: np.ndarray) -> Interval:
        return share_interval(value, each.astype(np.float64), of, groups=groups.count, seed=protocol.seed)

    return Distances(
        protocol=protocol,
        frechet=Interval(value=frechet.value, low=float(np.maximum(frechet.low, 0.0)), high=frechet.high),
        kernel=jackknife_interval(subsets.mean, kernel_without_each(generated, reference, groups)),
        kernel_subsets=subsets,
        precision=share(near.precision, near.realistic, groups.generated),
        recall=share(near.recall, near.reached, groups.reference),
        density=share(near.density, near.surrounding / DENSITY_NEIGHBOURS, groups.generated),
        coverage=share(near.coverage, near.covered, groups.reference),
    )
