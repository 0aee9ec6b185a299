"""Whole Visium HD slides on a laptop: simulated, built, summed, read, normalised and exported, against the usual ways.

`ci/bench data [--phantom DIR] [--quarter DIR] [--only simulate,build,...] [--folder DIR]`

`--phantom` and `--quarter` are what `g2m data simulate --preset full` and `--preset quarter` wrote; without them they
are simulated first. Every part runs in a process of its own, whose peak memory is stated beside its time, and both
sides of a ratio run one after the other on the same data. Streaming and gathering windows take two threads, as g2m-data
does by default; AnnData's look-ups and scipy's products take one, since they have no more. `--folder`
keeps what is built, where parts that need a dataset but do not measure its building find it again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches._figure import Figure, Run, run_measured
from benches._step import run_step

PARTS = ("build", "windows", "patches", "stain", "export")
PNG_FILES = 4000
BYTES_PER_NONZERO = 6


def measure(arguments: list[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(prog="ci/bench data")
    parser.add_argument("--phantom", type=Path, help="a whole section, simulated already")
    parser.add_argument("--quarter", type=Path, help="a quarter of one, simulated already")
    parser.add_argument("--only", default=",".join(PARTS), help="some of: %(default)s")
    parser.add_argument("--folder", type=Path, help="where to work; what is built there stays")
    chosen = parser.parse_args(arguments)
    parts = chosen.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--only: unknown {', '.join(unknown)}; expected some of {', '.join(PARTS)}")
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="g2m-bench-data-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _measure(parts, folder, chosen.phantom, chosen.quarter)
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(parts: list[str], folder: Path, phantom: Path | None, quarter: Path | None) -> list[Figure]:
    figures = Told()
    if set(parts) != {"export"}:
        phantom, dataset = phantom or folder / "full", folder / "full-dataset"
        if not phantom.exists():
            figures += simulate("full", phantom, folder)
        if "build" in parts or not dataset.exists():
            figures += build("full", phantom, dataset, folder)
        section = Section(phantom / "study.toml", dataset)
        for part, of_part in (("windows", windows), ("patches", patches), ("stain", stain)):
            if part in parts:
                figures += of_part(section, folder)
    if "export" in parts:
        quarter, dataset = quarter or folder / "quarter", folder / "quarter-dataset"
        if not quarter.exists():
            figures += simulate("quarter", quarter, folder)
        if not dataset.exists():
            _command(["data", "build", quarter / "study.toml", "--out", dataset], folder)
        figures += export(Section(quarter / "study.toml", dataset), folder)
    return figures


class Told(list[Figure]):
    """Figures that are told as soon as they are measured: a later part may fail."""

    def __iadd__(self, figures: list[Figure]) -> Told:
        for figure in figures:
            print(f"{figure.name}: {figure.value:.4g} {figure.unit} {figure.bound}", file=sys.stderr, flush=True)
        return super().__iadd__(figures)


@dataclass(frozen=True)
class Section:
    """The Visium HD section of a study, and its dataset."""

    study: Path
    dataset: Path

    @property
    def sample(self) -> str:
        samples = self.manifest["samples"]
        return next(name for name, entry in samples.items() if entry["platform"] == "visium-hd")

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.dataset / "dataset.json").read_text())


def simulate(preset: str, out: Path, folder: Path) -> list[Figure]:
    run = _command(["data", "simulate", out, "--preset", preset], folder)
    return _timed(f"g2m data simulate --preset {preset}", run.seconds, run.peak_gib, at_most=4)


def build(name: str, phantom: Path, out: Path, folder: Path) -> list[Figure]:
    """Building, between two measurements of the floor, the faster of which counts."""
    study = phantom / "study.toml"
    shutil.rmtree(out, ignore_errors=True)
    run_step("_data_floor.read_once", study)
    before = run_step("_data_floor.floor", study)
    run = _command(["data", "build", study, "--out", out], folder)
    floor = min(before, run_step("_data_floor.floor", study), key=lambda step: step["matrix_s"] + step["slide_s"])
    floor_s = floor["matrix_s"] + floor["slide_s"]
    stored = _size(out)
    samples = json.loads((out / "dataset.json").read_text())["samples"].values()
    slides = sum(entry["slide"]["height"] * entry["slide"]["width"] * 3 for entry in samples)
    allowed = slides + floor["nonzeros"] * BYTES_PER_NONZERO
    return [
        Figure(f"{name}: non-zeros", floor["nonzeros"] / 1e6, "10^6"),
        Figure(f"{name}: floor, h5py decompressing the matrix", floor["matrix_s"], "s"),
        Figure(f"{name}: floor, tifffile decoding the slide", floor["slide_s"], "s"),
        Figure(f"{name}: floor, peak memory", floor.peak_gib, "GiB"),
        *_timed(f"{name}: g2m data build", run.seconds, run.peak_gib, at_most=6),
        Figure(f"{name}: build / floor", run.seconds / floor_s, "x", at_most=3),
        Figure(f"{name}: dataset on disk", stored / 1e9, "GB"),
        Figure(f"{name}: on disk / (slide + non-zeros x 6 bytes)", stored / allowed, "x", at_most=1.2),
    ]


def windows(section: Section, folder: Path) -> list[Figure]:
    arguments = (section.dataset, section.sample, folder)
    ours = run_step("_data_windows.stream", *arguments)
    looked_up = run_step("_data_windows.look_up", *arguments)
    product = run_step("_data_windows.multiply", *arguments)
    each = ours["s"] / ours["windows"]
    return [
        Figure("windows", ours["windows"]),
        *_timed("windows: all sums streamed", ours["s"], ours.peak_gib),
        Figure("windows: streamed, each", each * 1e6, "µs"),
        *_timed("windows: an AnnData look-up and sum", looked_up["s_per_window"] * 1e3, looked_up.peak_gib, "ms"),
        Figure("windows: look-up / streamed", looked_up["s_per_window"] / each, "x", at_least=150),
        *_timed(
            f"windows: scipy's product of {product['windows']:,}, each",
            product["s_per_window"] * 1e6,
            product.peak_gib,
            "µs",
        ),
        Figure("windows: product / streamed", product["s_per_window"] / each, "x", at_least=20),
        Figure("windows: 128 at random, gathered", product["gather_s"] * 1e3, "ms"),
        Figure("windows: 128 at random, product", product["multiply_s"] * 1e3, "ms"),
        Figure("windows: product / gathered", product["multiply_s"] / product["gather_s"], "x", at_least=4),
    ]


def patches(section: Section, folder: Path) -> list[Figure]:
    ours = run_step("_data_patches.resident", section.dataset, section.sample)
    with tempfile.TemporaryDirectory(dir=folder) as files:
        png = run_step("_data_patches.from_files", section.dataset, section.sample, files, PNG_FILES)
    return [
        Figure("pairs: from the slide in memory", ours["per_s"], "/s", at_least=15_000),
        Figure("pairs: from the slide in memory, peak memory", ours.peak_gib, "GiB"),
        Figure("pairs: from PNG files, 2 threads", png["per_s"], "/s"),
        Figure("pairs: from PNG files, peak memory", png.peak_gib, "GiB"),
        Figure("pairs: memory / PNG", ours["per_s"] / png["per_s"], "x"),
    ]


def stain(section: Section, folder: Path) -> list[Figure]:
    entry, px = section.manifest["samples"][section.sample], section.manifest["patch"]["pixels"]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        run_step("_data_stain.resample", section.study, section.sample, entry["patch_um"], entry["mpp"], px, work)
        ours = run_step("_data_stain.ours", work)
        reference = run_step("_data_stain.reference", work)
    own, given = (reference[key] * ours["pixels"] for key in ("s_per_pixel", "given_s_per_pixel"))
    tiles = f"{reference['tiles']} tiles of 1024 px"
    return [
        *_timed(f"Macenko: a slide of {ours['pixels'] / 1e6:,.0f} Mpx", ours["s"], ours.peak_gib),
        *_timed(f"Macenko: torchstain tile by tile, from {tiles}", own, reference.peak_gib),
        Figure("Macenko: torchstain / ours", own / ours["s"], "x", at_least=5),
        Figure("Macenko: torchstain with our estimate given / ours", given / ours["s"], "x"),
        Figure("Macenko: grey levels from torchstain with our estimate given", reference["apart"], at_most=1),
        Figure("Macenko: of these tiles, refused by torchstain for want of tissue", reference["refused"]),
        Figure("Macenko: darkest grey level of an empty tile, normalised", ours["blank"]),
    ]


def export(section: Section, folder: Path) -> list[Figure]:
    figures = []
    for to, name in (("h5ad", "section.h5ad"), ("hest", "section.h5"), ("spatialdata", "section.zarr")):
        out = folder / name
        _remove(out)
        run = _command(["data", "export", section.dataset, section.sample, "--to", to, "--out", out], folder)
        figures += _timed(f"quarter: export to {to}", run.seconds, run.peak_gib, at_most=4)
        figures.append(Figure(f"quarter: {name}", _size(out) / 1e9, "GB"))
        if to == "h5ad":
            found = run_step("_data_export.cluster", out)
            figures += [
                Figure("quarter: windows in it", found["windows"]),
                Figure("quarter: non-zeros in it", found["nonzeros"] / 1e6, "10^6"),
                Figure(f"quarter: scanpy reads {found['clustered']:,} of them", found["read_s"], "s"),
                *_timed("quarter: scanpy clusters these", found["cluster_s"], found.peak_gib),
                Figure("quarter: clusters", found["clusters"], at_least=2),
            ]
        _remove(out)
    return figures


def _timed(name: str, value: float, peak_gib: float, unit: str = "s", at_most: float | None = None) -> list[Figure]:
    return [Figure(name, value, unit), Figure(f"{name}: peak memory", peak_gib, "GiB", at_most=at_most)]


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _command(arguments: list[object], folder: Path) -> Run:
    """Run `g2m`, measured from outside."""
    log = folder / "log.txt"
    run = run_measured([str(Path(sys.executable).with_name("g2m")), *map(str, arguments)], log)
    if run.code:
        sys.exit(f"g2m {' '.join(map(str, arguments))} ended with {run.code}:\n{log.read_text()[-3000:]}")
    return run
