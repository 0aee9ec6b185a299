"""What a section expresses, as the kit that measures it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS, Anatomy
from g2m_data.simulate.config import PhantomSettings, SectionPlan
from g2m_data.simulate.packing import drawn_factors
from g2m_data.simulate.programmes import Panel

TUFT_SHARE = 0.75  # of a glomerulus' molecules that are its own


@dataclass(frozen=True)
class Tissue:
    """What a section expresses, as its kit sees it."""

    panel: Panel
    anatomy: Anatomy
    glomeruli_um: npt.NDArray[np.float64]
    """Centre and radius of each tuft, (n, 3)."""
    measured: npt.NDArray[np.int64]
    """Indices into `panel.every_gene`, in the kit's order."""
    efficiency: npt.NDArray[np.float64]
    """The section's batch effect: fold of each measured gene."""
    pooled: bool = False
    """Whether the molecules of genes without a factor are drawn together (`draw_pooled`)."""

    def rates(
        self, xy_um: npt.NDArray[np.float64], genes: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float64]:
        """Mean counts of a window's worth of tissue around each point, 0 outside; (n, 2) -> (n, gene).

        `genes` are indices into `measured`; None is all of them.
        """
        genes = np.arange(len(self.measured)) if genes is None else genes
        measured = self.measured[genes]
        region = self.anatomy.at(self.anatomy.region, xy_um)
        table = np.zeros((OUTSIDE + 1, len(measured)))
        table[: len(REGIONS)] = self.panel.profile[:, measured]
        result: npt.NDArray[np.float64] = table[region]
        factors = drawn_factors(self.anatomy, xy_um, region)
        for index in range(factors.shape[1]):
            driven = np.flatnonzero(self.panel.factor[measured] == index)
            effect, sd = self.panel.effect[measured][driven], factors[:, index, None]
            # the second term keeps the mean over a standard normal factor at the profile's level
            result[:, driven] *= np.exp(sd * effect - (sd != 0) * effect**2 / 2)
        tuft = np.flatnonzero(self.in_tuft(xy_um) & (region == 0))
        result[tuft] += TUFT_SHARE * (self.panel.tuft[measured] - result[tuft])
        return result * self.efficiency[genes]

    def in_tuft(self, xy_um: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether each point lies in a glomerulus, (n, 2) -> (n,)."""
        if not len(self.glomeruli_um):
            return np.zeros(len(xy_um), bool)
        # tufts do not overlap but differ in size, so the one around a point need not have the nearest centre
        neighbours = min(2, len(self.glomeruli_um))
        distance, index = self._tufts.query(xy_um, k=range(1, neighbours + 1))
        inside: npt.NDArray[np.bool_] = (distance < self.glomeruli_um[index, 2]).any(axis=1)
        return inside

    @cached_property
    def _tufts(self) -> cKDTree:
        return cKDTree(self.glomeruli_um[:, :2])

    @cached_property
    def pool(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The genes without a factor, and their cumulative rates in each region and, last, in tufts."""
        genes = np.flatnonzero(self.panel.factor[self.measured] < 0)
        measured = self.measured[genes]
        regions = self.panel.profile[:, measured]
        tuft = regions[:1] + TUFT_SHARE * (self.panel.tuft[measured] - regions[:1])
        return genes, np.cumsum(np.concatenate([regions, tuft]) * self.efficiency[genes], axis=1)


def sense_tissue(
    plan: SectionPlan,
    settings: PhantomSettings,
    panel: Panel,
    anatomy: Anatomy,
    glomeruli_um: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Tissue:
    """Put a section's kit and batch together."""
    own = set(panel.private[plan.platform])
    index = [i for i, gene in enumerate(panel.every_gene) if i < len(panel.genes) or gene in own]
    measured = np.array(index)[rng.permutation(len(index))]
    efficiency = rng.lognormal(0, settings.batch_sd, len(measured))
    return Tissue(panel, anatomy, glomeruli_um, measured, efficiency, settings.whole_slide)
