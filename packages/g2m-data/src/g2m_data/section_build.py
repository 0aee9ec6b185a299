"""One section of a dataset: its counts, and its slide."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2m_data.count_store import store_path, write_counts
from g2m_data.errors import InputError
from g2m_data.image_store import create_pixels, write_image
from g2m_data.lattice import Lattice, fit_lattice
from g2m_data.manifest import Manifest, SampleEntry, View
from g2m_data.progress import Track, silent
from g2m_data.resample import Resampling, normalise_slide, resample_slide
from g2m_data.scale import decide_scale
from g2m_data.slide import Slide, open_slide
from g2m_data.slide_facts import read_slide_facts
from g2m_data.spaceranger.layout import Layout, find_layout
from g2m_data.spaceranger.section import Section, read_section
from g2m_data.units import BIN_UM
from g2m_data.windows import BinGrid, enumerate_windows, window_totals

MOST_ENLARGED = 16.0
"""Times that a slide may be enlarged: there would be nothing to see, and the disk would be full."""


def build_section(
    study: Manifest, sample: SampleEntry, genes: list[str], folder: Path, *, track: Track = silent
) -> dict[str, Any]:
    """Write one section's counts and slide.

    Parameters
    ----------
    study, sample
        The manifest, and which of its sections.
    genes
        The panel.
    folder
        Where to write.
    track
        Shows progress.

    Returns
    -------
    What `dataset.json` says about it.

    Raises
    ------
    InputError
        For whatever is wrong with its files.
    """
    layout = find_layout(sample.spaceranger, sample.platform, sample.prefix)
    section = read_section(layout, genes)
    lattice = fit_lattice(section.array, section.xy)
    scale = decide_scale(sample, layout.is_hd, lattice, section.scalefactors, layout.positions)
    slide = open_slide(sample.image)
    _check_extent(slide, section, sample, layout)

    pixels_per_patch = study.patch.pixels
    plan = Resampling.plan(slide.height, slide.width, scale.mpp, scale.spot_um, pixels_per_patch)
    if plan.scale > MOST_ENLARGED:
        raise InputError(
            f"{sample.image}: a patch of {scale.spot_um:g} µm is only {scale.spot_um / scale.mpp:.2g} of its pixels, "
            f"too few for {pixels_per_patch}; give a finer slide, or check 'mpp' and 'spot_um' of {sample.id!r}"
        )
    grid, view = _default_view(study, section, layout)
    centres = np.arange(len(section.xy)) if grid is None else enumerate_windows(grid, view)
    inside = plan.inside(plan.corners(section.xy[centres], pixels_per_patch), pixels_per_patch)
    if not inside.any():
        reason = (
            f"no window of bins {study.view.wanted}"
            if not len(centres)
            else "every patch lies partly outside the slide"
        )
        raise InputError(f"{layout.positions}: sample {sample.id!r} gives no pairs, because {reason}")

    totals = write_counts(
        store_path(folder, scale.platform), section, genes, track=track, description=f"{sample.id}: counts"
    )
    if grid is not None:
        totals = window_totals(grid, totals, centres, view.window_bins)
    target = float(np.median(totals[inside]))
    if target <= 0:
        raise InputError(f"{layout.matrix}: sample {sample.id!r} has no counts in most of its pairs")
    pixels = create_pixels(folder, plan.height, plan.width)
    resample_slide(slide, plan, pixels, track=track, description=f"{sample.id}: slide")
    if study.patch.stain == "macenko":
        try:
            normalise_slide(pixels, track=track, description=f"{sample.id}: stain")
        except InputError as error:
            raise InputError(
                f'{sample.image}: {error}; is this the section\'s H&E slide? Or set stain = "none"'
            ) from None
    mpp = scale.spot_um / pixels_per_patch
    write_image(folder, pixels, mpp, track=track, description=f"{sample.id}: image")
    return {
        "platform": scale.platform,
        "split": sample.split,
        "spots": int(inside.sum()),
        "mpp": scale.mpp,
        "mpp_source": scale.source,
        "patch_um": scale.spot_um,
        "library_size_target": target,
        "slide": {"height": plan.height, "width": plan.width, "scale": plan.scale},
        "lattice": _describe_lattice(lattice),
        "dropped": int((~inside).sum()),
        "genes_missing": len(section.genes_missing),
        "notes": [*scale.notes, *_notes(section, layout, study.view, inside)],
        # what else tells the scale, for g2m doctor to show beside it
        "sources": {"scalefactors": section.scalefactors, "slide": asdict(read_slide_facts(sample.image))},
    } | ({"bin_um": layout.bin_um} if layout.is_hd and layout.bin_um != BIN_UM else {})


def _default_view(study: Manifest, section: Section, layout: Layout) -> tuple[BinGrid | None, View]:
    """The bins' grid, None for spots, and the manifest's view in the section's bins."""
    return BinGrid.from_array(section.array) if layout.is_hd else None, study.view.rescale(layout.bin_um)


def _check_extent(slide: Slide, section: Section, sample: SampleEntry, layout: Layout) -> None:
    low, high = section.xy.min(axis=0), section.xy.max(axis=0)
    if (low < -0.5).any() or high[0] > slide.width - 0.5 or high[1] > slide.height - 0.5:
        raise InputError(
            f"{sample.image}: the slide has {slide.width} x {slide.height} pixels (width x height), but "
            f"{layout.positions} places spots from {low[0]:.0f}, {low[1]:.0f} to {high[0]:.0f}, {high[1]:.0f}; "
            "give the full-resolution image that Space Ranger was run with"
        )


def _describe_lattice(lattice: Lattice | None) -> dict[str, Any] | None:
    if lattice is None:
        return None
    return {
        "pitch_px": lattice.pitch_px,
        "rotation_deg": lattice.rotation_deg,
        "flip_rows": lattice.flip_rows,
        "flip_cols": lattice.flip_cols,
        "residual_px": lattice.residual_px,
        "outliers": lattice.outliers,
    }


def _notes(section: Section, layout: Layout, view: View, inside: NDArray[np.bool_]) -> Iterator[str]:
    if layout.is_hd and layout.bin_um != BIN_UM:
        n, stride = (view.rescale(layout.bin_um).window_bins, view.rescale(layout.bin_um).stride_bins)
        yield (
            f"no matrix of bins of {BIN_UM:g} µm, so that windows are of {n} x {n} bins of {layout.bin_um:g} µm "
            f"({n * layout.bin_um:g} µm wide instead of {view.window_bins * BIN_UM:g}), "
            f"{stride * layout.bin_um:g} µm apart instead of {view.stride_bins * BIN_UM:g}"
        )
    if layout.by_probe:
        yield f"{layout.matrix.name} lists probes: the counts of a gene are the sum of all its probes'"
    if section.genes_missing:
        yield f"{len(section.genes_missing)} genes of the panel are not in {layout.matrix.name} and count as zero"
    if section.n_without_counts:
        kind = (
            "bins under tissue have no counts"
            if layout.is_hd
            else "spots under tissue are not in the matrix and were left out"
        )
        yield f"{section.n_without_counts} {kind}"
    if not inside.all():
        yield f"{(~inside).sum()} patches lie partly outside the slide and were left out"
