"""Simulate a whole study: every section, the truth, and the manifest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd

from g2m_data.atomic import temporary_sibling
from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.simulate.anatomy import FACTORS, REGIONS
from g2m_data.simulate.config import PRESETS, PhantomSettings
from g2m_data.simulate.programmes import Panel, choose_panel
from g2m_data.simulate.section import simulate_section, slide_name
from g2m_data.truth import write_tables


def simulate_study(
    out: Path,
    *,
    preset: str = "demo",
    seed: int = 0,
    workers: int = 2,
    track: Track = silent,
) -> Path:
    """Write a phantom study: raw Space Ranger folders, slides, truth and `study.toml`.

    Parameters
    ----------
    out
        Folder to create; it appears only when complete.
    preset
        Row of `g2m_data.simulate.config.PRESETS`.
    seed
        Same seed, same arrays.
    workers
        Sections simulated side by side, each in a process of its own; 1 stays in this process.
    track
        Called with the finished sections, as `rich.progress.track`; in a study of one section, with its parts.

    Returns
    -------
    Path of the manifest.

    Raises
    ------
    InputError
        For an unknown preset, a folder that exists, a full disk, or a section for which memory did not suffice; nothing
        is left behind.
    """
    out = Path(out)
    if preset not in PRESETS:
        raise InputError(f"unknown phantom preset '{preset}'; choose one of {', '.join(PRESETS)}")
    if out.exists():
        raise InputError(f"{out} exists already; choose another folder or remove it")
    settings = PRESETS[preset]
    with temporary_sibling(out, "nothing was simulated") as root:
        (root / "truth").mkdir(parents=True)
        if len(settings.sections) == 1:  # which then tells by itself how far it has come
            simulate_section(root, preset, seed, 0, track)
        else:
            done = _simulate_sections(root, preset, seed, workers, len(settings.sections))
            for _ in track(done, description="Simulating sections", total=len(settings.sections)):
                pass
        _write_truth_tables(root / "truth", choose_panel(settings, seed))
        (root / "study.toml").write_text(manifest_text(preset, settings))
    return out / "study.toml"


def _simulate_sections(root: Path, preset: str, seed: int, workers: int, sections: int) -> Iterable[int]:
    if workers <= 1:
        for number in range(sections):
            simulate_section(root, preset, seed, number)
            yield number
        return
    # A plain command instead of multiprocessing: it never imports the caller's script a second time.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(number: int) -> int:
        arguments = [str(root), preset, str(seed), str(number)]
        # -P: nor does it import what lies in the working directory, as a user's `random.py`
        command = [sys.executable, "-P", "-m", "g2m_data.simulate.section", *arguments]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode < 0:
            raise InputError(
                f"section {number} of the phantom: the process that simulated it was killed (signal "
                f"{-result.returncode}), perhaps for want of memory; nothing was simulated; use fewer workers"
            )
        if result.returncode:
            raise RuntimeError(f"section {number} of the phantom failed:\n{result.stderr}")
        if error := json.loads(result.stdout)["error"]:
            raise InputError(error)
        return number

    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(run, number) for number in range(sections)]
        try:
            yield from (job.result() for job in as_completed(jobs))
        finally:
            for job in jobs:
                job.cancel()


def _write_truth_tables(directory: Path, panel: Panel) -> None:
    names = [*FACTORS, ""]
    genes = pd.DataFrame({"gene": panel.genes})
    count = len(panel.genes)
    for code, region in enumerate(REGIONS):
        genes[f"mean_{region}"] = panel.profile[code, :count]
    genes["factor"] = np.array(names, dtype=object)[panel.factor[:count]]
    genes["effect"] = panel.effect[:count]
    factors = pd.DataFrame(
        [(name, ";".join(regions), statistic, sign) for name, (regions, statistic, sign) in FACTORS.items()],
        columns=["factor", "regions", "statistic", "sign"],
    )
    write_tables(directory, genes, factors, panel.sets)


def manifest_text(preset: str, settings: PhantomSettings) -> str:
    """The study manifest, TOML."""
    lines = [
        "[study]",
        f'name = "phantom-{preset}"',
        'genes = "common"',
        'truth = "truth"',
        "",
        "[view]",
        "window_bins = 27",
        "stride_bins = 5",
        "",
        "[patch]",
        "pixels = 128",
        'stain = "macenko"',
    ]
    for plan in settings.sections:
        lines += [
            "",
            "[[sample]]",
            f'id = "{plan.id}"',
            f'platform = "{plan.platform}"',
            f'spaceranger = "raw/{plan.id}/outs"',
            f'image = "raw/{plan.id}/{slide_name(plan.layout)}"',
            f'split = "{plan.split}"',
        ]
    return "\n".join(lines) + "\n"
