"""One section as the doctor sees it, whether its files are raw or built."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from g2m_data.doctor.surroundings import Surroundings
from g2m_data.lattice import Lattice
from g2m_data.manifest import SampleEntry, View
from g2m_data.resample import Resampling
from g2m_data.scale import Scale
from g2m_data.slide_facts import SlideFacts
from g2m_data.windows import BinGrid, enumerate_windows, window_totals


@dataclass(frozen=True, kw_only=True)
class GeneFacts:
    """How a section's genes meet the study's panel."""

    panel: int
    """Genes of the panel."""
    listed: int | None
    """Genes that the section's matrix lists; None where only what was built is known."""
    missing: int
    """Genes of the panel that the matrix does not list."""
    examples: tuple[str, ...]
    """Some of these."""
    counts_lost: float | None
    """Share of the section's counts that fall on genes outside the panel."""
    repeated: tuple[str, ...]
    """Genes whose symbol the matrix lists more than once, as they are named here; unknown where it was built."""


@dataclass(frozen=True, kw_only=True)
class SlideView:
    """A slide small enough to hold, and a way to its pixels."""

    height: int
    width: int
    """Of the full-resolution slide."""
    overview: NDArray[np.uint8]
    """(rows, columns, 3): the whole slide, shrunk by area."""
    overview_scale: float
    """Pixels of the overview per full-resolution pixel."""
    read: Callable[[int, int, int, int], NDArray[np.uint8]]
    """Pixels from top, bottom, left and right, clipped to the slide by the caller."""
    scale: float
    """Pixels that `read` gives per full-resolution pixel."""
    is_normalised: bool
    """Whether its stain was normalised already."""


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """What is known of a section before anything is trained on it."""

    settings: SampleEntry
    """Its entry in the manifest."""
    is_hd: bool
    barcodes: NDArray[np.object_] | pa.Array
    """Of each place; arrow's where they are read from raw files, because eight million Python strings are too many."""
    array: NDArray[np.int32]
    """(n, 2): array row and column of the spots or bins under tissue, row-major."""
    xy: NDArray[np.float64]
    """(n, 2): their centres in full-resolution pixels."""
    library: NDArray[np.int64]
    """(n,): their counts of the panel's genes."""
    frame: tuple[tuple[int, int], tuple[int, int]] | None
    """Lowest and highest array row and column that there is a position for; None where that was not kept."""
    surroundings: Surroundings | None
    """What is known to lie off the tissue; None where it is not known."""
    positions: int | None
    """Positions on the array, under tissue or not."""
    scalefactors: dict[str, float]
    lattice: Lattice | None
    scale: Scale | str
    """The scale a build would use, or why it would refuse."""
    genes: GeneFacts
    facts: SlideFacts | None
    """Of the raw slide's file; None where only the resampled slide is left."""
    slide: SlideView | str
    """The slide, or why it cannot be read."""
    view: View
    """In this section's own bins."""
    patch_px: int
    stain: str
    """``macenko`` or ``none``, as the manifest has it."""
    notes: tuple[str, ...]
    """What a build has noted or will note."""

    @cached_property
    def pair_rows(self) -> NDArray[np.int64]:
        """Rows of the places that pairs are centred on: every spot, or every complete window's centre bin."""
        return enumerate_windows(self.grid, self.view) if self.is_hd else np.arange(len(self.array))

    @cached_property
    def pair_counts(self) -> NDArray[np.int64]:
        """(pair,): counts of the panel's genes in each pair."""
        if not self.is_hd:
            return self.library
        return window_totals(self.grid, self.library, self.pair_rows, self.view.window_bins)

    @cached_property
    def grid(self) -> BinGrid:
        """Where the bins under tissue lie, of Visium HD."""
        return BinGrid.from_array(self.array)

    def patches_inside(self, scale: Scale, slide: SlideView) -> NDArray[np.bool_]:
        """(pair,): whether each pair's patch lies wholly on the slide, as a build decides it."""
        plan = Resampling.plan(slide.height, slide.width, scale.mpp, scale.spot_um, self.patch_px)
        return plan.inside(plan.corners(self.xy[self.pair_rows], self.patch_px), self.patch_px)
