"""From a study manifest to a dataset folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2m_data.atomic import temporary_sibling
from g2m_data.count_store import store_path, write_counts
from g2m_data.errors import InputError
from g2m_data.gene_sets import copy_gene_sets
from g2m_data.image_store import create_pixels, write_image
from g2m_data.lattice import Lattice, fit_lattice
from g2m_data.manifest import Manifest, SampleEntry, View, read_manifest
from g2m_data.panel import check_panel, choose_panel, hash_genes
from g2m_data.progress import Track, silent
from g2m_data.provenance import FORMAT, hash_inputs, input_files, make_id, resolve_settings, software
from g2m_data.resample import Resampling, normalise_slide, resample_slide
from g2m_data.scale import decide_scale
from g2m_data.slide import Slide, open_slide
from g2m_data.slide_facts import read_slide_facts
from g2m_data.spaceranger.layout import Layout, find_layout
from g2m_data.spaceranger.matrix import read_features
from g2m_data.spaceranger.section import Section, read_section
from g2m_data.units import BIN_UM
from g2m_data.windows import BinGrid, enumerate_windows, window_totals

MOST_ENLARGED = 16.0
"""Times that a slide may be enlarged: there would be nothing to see, and the disk would be full."""


def build_dataset(manifest: Path, out: Path, *, overwrite: bool = False, track: Track = silent) -> None:
    """Build a paired dataset from a study manifest.

    Parameters
    ----------
    manifest
        TOML file.
    out
        Folder to create. It appears when it is complete and not before.
    overwrite
        Replace `out` if it is a dataset already.
    track
        Shows progress; signature of :func:`rich.progress.track`.

    Raises
    ------
    InputError
        For whatever is wrong with the manifest or the files it names; nothing is left behind.
    """
    study, out = read_manifest(Path(manifest)), Path(out)
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; remove it, choose another folder, or ask for it to be overwritten")
    if out.exists() and not (out / "dataset.json").is_file():
        raise InputError(f"{out}: exists and is not a dataset; choose another folder")

    layouts = {sample.id: find_layout(sample.spaceranger, sample.platform, sample.prefix) for sample in study.samples}
    listed = {layout.matrix: read_features(layout.matrix) for layout in layouts.values()}
    genes, panel_notes = choose_panel(study.gene_file, listed)
    if study.gene_file is not None:
        for matrix, features in listed.items():
            check_panel(genes, features.genes, study.gene_file, matrix)
    settings, inputs = resolve_settings(study), hash_inputs(input_files(study))
    with temporary_sibling(out, "nothing was built") as folder:
        (folder / "samples").mkdir(parents=True)
        samples = {
            sample.id: _build_sample(study, sample, layouts[sample.id], genes, folder / "samples" / sample.id, track)
            for sample in study.samples
        }
        for entry in samples.values():
            entry["notes"] += panel_notes
        if study.truth_folder is not None:
            (folder / "truth").mkdir()
            for path in study.truth_folder.iterdir():
                if path.is_file():  # not what else lies there, which may be the dataset itself
                    shutil.copy2(path, folder / "truth")
        copy_gene_sets(study, folder)
        (folder / "genes.txt").write_text("\n".join(genes) + "\n", encoding="utf-8")
        content = {
            "format": FORMAT,
            "id": make_id(settings, inputs),
            "study": study.study.name,
            "genes": len(genes),
            "gene_hash": hash_genes(genes),
            "view": study.view.settings,
            "patch": asdict(study.patch),
            "samples": samples,
            "provenance": {"settings": settings, "inputs": inputs, "versions": software()},
        }
        (folder / "dataset.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _build_sample(
    study: Manifest, sample: SampleEntry, layout: Layout, genes: list[str], folder: Path, track: Track
) -> dict[str, Any]:
    """Write one section's counts and slide; returns what `dataset.json` says about it."""
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
            f"no bins of {BIN_UM:g} µm, so that windows are of {n} x {n} bins of {layout.bin_um:g} µm "
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
