"""Simulate one section; `python -m g2m_data.simulate.section ROOT PRESET SEED NUMBER` does so in its own process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from g2m_data.progress import Track, silent
from g2m_data.simulate.anatomy import FACTORS, RASTER_UM, REGIONS, draw_anatomy
from g2m_data.simulate.config import PRESETS
from g2m_data.simulate.counts import count_bins, count_spots, strips_of
from g2m_data.simulate.drawing import draw_scene
from g2m_data.simulate.packing import pack_tissue
from g2m_data.simulate.programmes import choose_panel
from g2m_data.simulate.scanner import write_slide
from g2m_data.simulate.spaceranger import write_outs
from g2m_data.simulate.staining import Painter, even_out, make_grain
from g2m_data.simulate.tissue import sense_tissue
from g2m_data.truth import TruthMaps


def simulate_section(root: Path, preset: str, seed: int, number: int, track: Track = silent) -> None:
    """Write section `number` of a preset below `root`: Space Ranger folder, slide, and truth maps."""
    settings = PRESETS[preset]
    plan = settings.sections[number]
    panel = choose_panel(settings, seed)
    # independent streams: a change in the drawing leaves the counts as they are
    shape, place, draw, count, name = (np.random.default_rng([seed, number, stream]) for stream in range(5))
    anatomy = draw_anatomy(plan, settings, shape)
    scene = draw_scene(anatomy, pack_tissue(anatomy, place), draw)
    painter = Painter(scene, anatomy, plan.mpp, make_grain(plan.mpp, seed))
    even_out(painter)

    raw = root / "raw" / plan.id
    raw.mkdir(parents=True)
    quarter = write_slide(raw / slide_name(plan.layout), painter, plan, track)
    tissue = sense_tissue(plan, settings, panel, anatomy, scene.glomeruli_um, count)
    del painter, scene  # the counts need no polygons
    counting = count_bins if plan.platform == "visium-hd" else count_spots
    total = strips_of(plan, anatomy.size_um)
    strips = track(counting(plan, tissue, count), description=f"Counting {plan.id}", total=total)
    genes = [panel.every_gene[index] for index in tissue.measured]
    write_outs(raw / "outs", plan, strips, genes, quarter, name, gzip=4 if settings.whole_slide else 1)
    maps = TruthMaps(anatomy.region, anatomy.factors, REGIONS, tuple(FACTORS), RASTER_UM / plan.mpp)
    maps.save(root / "truth", plan.id)


def slide_name(layout: str) -> str:
    """Visium HD slides are BigTIFF, the others plain TIFF."""
    return "tissue.btf" if layout == "hd" else "tissue.tif"


def main(root: str, preset: str, seed: str, number: str) -> None:
    """Simulate one section, as a worker, and print what went wrong as JSON."""
    cv2.setNumThreads(1)  # sections run side by side
    error = None
    try:
        simulate_section(Path(root), preset, int(seed), int(number))
    except MemoryError:
        error = f"section {number} of the phantom: memory did not suffice; nothing was simulated; use fewer workers"
    except OSError as problem:  # no space, no permission
        error = f"{problem.filename or root}: {problem.strerror or problem}; nothing was simulated"
    sys.stdout.write(json.dumps({"error": error}))


if __name__ == "__main__":
    main(*sys.argv[1:])
