"""Where specimens come from: a study's raw files, or a dataset that was built from them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from g2m_data.count_store import read_places, store_path
from g2m_data.dataset import PairedDataset, open_dataset
from g2m_data.doctor.specimen import GeneFacts, SlideView, Specimen
from g2m_data.doctor.surroundings import find_raw_matrix, read_surroundings
from g2m_data.errors import InputError
from g2m_data.image_store import open_pixels
from g2m_data.lattice import fit_lattice
from g2m_data.manifest import Manifest, SampleEntry, read_manifest
from g2m_data.panel import choose_panel
from g2m_data.progress import Track, silent
from g2m_data.resample import Resampling, overview, resample_slide
from g2m_data.scale import Scale, decide_scale
from g2m_data.slide import Slide, open_slide
from g2m_data.slide_facts import SlideFacts, read_slide_facts
from g2m_data.spaceranger.layout import Layout, find_layout
from g2m_data.spaceranger.matrix import read_features
from g2m_data.spaceranger.positions import read_positions
from g2m_data.spaceranger.section import Section, read_section
from g2m_data.units import BIN_UM

OVERVIEW_MPP = 2.0
"""Microns per pixel of a slide's overview: a bin of Visium HD."""
OVERVIEW_PX = 2048
"""Longest side of the overview of a slide without a scale, pixels."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A section that can be examined."""

    settings: SampleEntry
    open: Callable[[], Specimen]
    """Reads it; an InputError says why it cannot be read."""


def find_sources(path: Path, *, track: Track = silent) -> list[Source]:
    """Find the sections of a study manifest or of a dataset folder, without reading them.

    Raises
    ------
    InputError
        If `path` is neither, or the manifest has a mistake.
    """
    path = Path(path)
    if path.is_dir():
        dataset = open_dataset(path)
        return [_built(dataset, sample) for sample in dataset.samples]
    study = read_manifest(path)
    panel = _choose_panel(study)
    return [_raw(study, sample, panel, track) for sample in study.samples]


def _raw(study: Manifest, sample: SampleEntry, panel: tuple[list[str], list[str]] | str, track: Track) -> Source:
    def read() -> Specimen:
        if isinstance(panel, str):
            raise InputError(panel)
        return _read_raw(study, sample, *panel, track)

    return Source(settings=sample, open=read)


def _choose_panel(study: Manifest) -> tuple[list[str], list[str]] | str:
    """The panel a build would choose, of the sections that can be read, and its notes; or why there is none."""
    listed = {}
    for sample in study.samples:
        try:
            matrix = find_layout(sample.spaceranger, sample.platform, sample.prefix).matrix
            listed[matrix] = read_features(matrix)
        except InputError:  # told when that section is examined
            continue
    if not listed:
        return "no section's genes can be read"
    try:
        return choose_panel(study.gene_file, listed)
    except InputError as error:
        return str(error)


def _read_raw(
    study: Manifest, sample: SampleEntry, panel: Sequence[str], panel_notes: Sequence[str], track: Track
) -> Specimen:
    layout = find_layout(sample.spaceranger, sample.platform, sample.prefix)
    features = read_features(layout.matrix)
    section = read_section(layout, features.genes)
    in_panel = np.isin(features.genes, panel)
    weights = np.column_stack([np.ones(len(in_panel)), in_panel]).astype(np.int64)
    library_all, library = section.totals(weights, track=track, description=f"{sample.id}: counts").T
    positions = read_positions(layout.positions)
    low, high = positions.array.min(axis=0), positions.array.max(axis=0)
    notes = [*_notes(study, layout, section), *panel_notes]
    surroundings = None
    if (raw_matrix := find_raw_matrix(layout)) is not None:
        try:
            surroundings = read_surroundings(
                raw_matrix, positions, panel, track=track, description=f"{sample.id}: counts off the tissue"
            )
        except InputError as error:  # a build does without it
            notes.append(f"{error}; only the registration check uses it, and did without it")
    lattice = fit_lattice(section.array, section.xy)
    scale: Scale | str
    try:
        scale = decide_scale(sample, layout.is_hd, lattice, section.scalefactors, layout.positions)
    except InputError as error:
        scale = str(error)
    slide: SlideView | str
    facts = None
    try:
        opened = open_slide(sample.image)
        facts = read_slide_facts(sample.image)
        slide = _view_slide(opened, scale, sample.id, track)
    except InputError as error:
        slide = str(error)
    missing = sorted(set(panel) - set(features.genes))
    return Specimen(
        settings=sample,
        is_hd=layout.is_hd,
        barcodes=section.barcodes,
        array=section.array,
        xy=section.xy,
        library=library,
        frame=((int(low[0]), int(low[1])), (int(high[0]), int(high[1]))),
        surroundings=surroundings,
        positions=len(positions.barcodes),
        scalefactors=section.scalefactors,
        lattice=lattice,
        scale=scale,
        genes=GeneFacts(
            panel=len(panel),
            listed=len(features.genes),
            missing=len(missing),
            examples=tuple(missing[:3]),
            counts_lost=1 - float(library.sum()) / max(1.0, float(library_all.sum())),
            repeated=tuple(sorted(features.repeated)),
        ),
        facts=facts,
        slide=slide,
        view=study.view.rescale(layout.bin_um),
        patch_px=study.patch.pixels,
        stain=study.patch.stain,
        notes=tuple(notes),
    )


def _view_slide(slide: Slide, scale: Scale | str, sample: str, track: Track) -> SlideView:
    shrink = OVERVIEW_PX / max(slide.height, slide.width) if isinstance(scale, str) else scale.mpp / OVERVIEW_MPP
    shrink = min(1.0, shrink)
    plan = Resampling(scale=shrink, height=int(slide.height * shrink + 1e-9), width=int(slide.width * shrink + 1e-9))
    if not plan.height or not plan.width:
        raise InputError(f"{slide.path}: only {slide.width} x {slide.height} pixels; give the full-resolution slide")
    small = np.empty((plan.height, plan.width, 3), np.uint8)
    resample_slide(slide, plan, small, track=track, description=f"{sample}: slide")
    return SlideView(
        height=slide.height,
        width=slide.width,
        overview=small,
        overview_scale=shrink,
        read=slide.read,
        scale=1.0,
        is_normalised=False,
    )


def _notes(study: Manifest, layout: Layout, section: Section) -> Iterator[str]:
    if layout.is_hd and layout.bin_um != BIN_UM:
        width_um = study.view.rescale(layout.bin_um).window_bins * layout.bin_um
        yield f"bins of {layout.bin_um:g} µm, not {BIN_UM:g}: windows will be {width_um:g} µm wide"
    if section.n_without_counts and not layout.is_hd:
        yield f"{section.n_without_counts} spots under tissue are not in {layout.matrix.name} and will be left out"


def _built(dataset: PairedDataset, sample: str) -> Source:
    given = next(entry for entry in dataset.manifest["provenance"]["settings"]["samples"] if entry["id"] == sample)
    settings = SampleEntry(**given | {"spaceranger": Path(given["spaceranger"]), "image": Path(given["image"])})
    return Source(settings=settings, open=lambda: _read_built(dataset, settings))


def _read_built(dataset: PairedDataset, settings: SampleEntry) -> Specimen:
    entry: dict[str, Any] = dataset.manifest["samples"][settings.id]
    folder = dataset.path / "samples" / settings.id
    places = read_places(store_path(folder, entry["platform"]))
    plan = Resampling(**entry["slide"])
    pixels = open_pixels(folder)
    longest, per_pixel = max(pixels.shape[:2]), max(1, round(OVERVIEW_MPP * dataset.patch_px / entry["patch_um"]))
    small = overview(pixels, -(-longest // per_pixel))
    sources = entry.get("sources") or _guess_sources(entry)
    return Specimen(
        settings=settings,
        is_hd=entry["platform"] == "visium-hd",
        barcodes=places.barcodes,
        array=places.array,
        xy=places.xy,
        library=places.total_counts,
        frame=None,
        surroundings=None,
        positions=None,
        scalefactors=sources["scalefactors"],
        lattice=fit_lattice(places.array, places.xy),
        scale=Scale(
            platform=entry["platform"],
            mpp=entry["mpp"],
            spot_um=entry["patch_um"],
            source=entry["mpp_source"],
            notes=(),
        ),
        genes=GeneFacts(
            panel=len(dataset.genes),
            listed=None,
            missing=entry["genes_missing"],
            examples=(),
            counts_lost=None,
            repeated=(),
        ),
        facts=None if sources["slide"] is None else SlideFacts(**sources["slide"]),
        slide=SlideView(
            height=round(plan.height / plan.scale),
            width=round(plan.width / plan.scale),
            overview=small,
            overview_scale=plan.scale / per_pixel,
            read=lambda top, bottom, left, right: np.asarray(pixels[top:bottom, left:right]),
            scale=plan.scale,
            is_normalised=dataset.manifest["patch"]["stain"] == "macenko",
        ),
        view=dataset.view.rescale(entry.get("bin_um", BIN_UM)),
        patch_px=dataset.patch_px,
        stain=dataset.manifest["patch"]["stain"],
        notes=tuple(entry["notes"]),
    )


def _guess_sources(entry: dict[str, Any]) -> dict[str, Any]:
    """What a dataset that was built before they were kept still tells of its sources."""
    from_json = entry["mpp_source"] == "scalefactors_json.json"
    factors = {"bin_size_um": entry.get("bin_um", BIN_UM)} | ({"microns_per_pixel": entry["mpp"]} if from_json else {})
    return {"scalefactors": factors, "slide": None}
