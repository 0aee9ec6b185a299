"""What a person's machine has to offer: versions, devices, room, and weights that cannot be assumed. Never online."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from g2m_cli.study_settings import DEFAULT_GENERATORS, resolve_study
from g2m_cli.weights import Weights, inception_weights, study_weights
from g2m_data.doctor.report import Check

LEAST_MEMORY_GIB, LEAST_DISK_GIB = 6.0, 10.0
"""What a build of a whole Visium HD slide may take, and what it and a run leave on disk."""
ANY_PRESET = "any"
_LICENCES = {
    "hf-hub:MahmoodLab/UNI": "CC-BY-NC-ND-4.0, gated",
    "hf-hub:1aurent/vit_base_patch16_224.owkin_pancancer": "Owkin's, non-commercial",
    "hf-hub:1aurent/vit_small_patch16_224.lunit_dino": "Lunit's, non-commercial",
    "CompVis/stable-diffusion-v1-4": "CreativeML OpenRAIL-M",
    inception_weights().name: "Apache-2.0",
}
"""Of weights that timm does not know; a model's card records what its publisher states at the time."""


@dataclass(frozen=True, kw_only=True)
class PresetWeights:
    """Pretrained weights that presets of ``g2m run`` need."""

    presets: tuple[str, ...]
    purpose: str
    name: str
    licence: str
    """Empty where it is not known."""
    here: bool
    option: str
    """What takes a local copy."""


def check_environment(folder: Path, weights: Sequence[Path] = (), known: Sequence[PresetWeights] = ()) -> list[Check]:
    """Look at this machine.

    Parameters
    ----------
    folder
        Where the artefacts will be written.
    weights
        Files or folders of weights that will be needed.
    known
        What presets need, of `preset_weights`.
    """
    return [
        _check_software(),
        _check_devices(),
        _check_room(folder),
        *([_sum_up(known)] if known else []),
        *map(_check_given, weights),
    ]


def _check_software() -> Check:
    import torch

    numbers = {"python": platform.python_version(), "torch": torch.__version__, "cores": len(os.sched_getaffinity(0))}
    message = f"Python {numbers['python']}, torch {numbers['torch']}, {numbers['cores']} processor cores"
    return Check(name="software", verdict="ok", message=message, numbers=numbers)


def _check_devices() -> Check:
    import torch

    if not torch.cuda.is_available():
        found = "Apple's GPU (mps)" if torch.backends.mps.is_available() else "none, so training runs on the processor"
        return Check(name="accelerator", verdict="ok", message=found, numbers={"gpus": []})
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    sizes = [{"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)} for gpu in gpus]
    message = ", ".join(f"{gpu['name']} with {gpu['memory_gib']} GiB" for gpu in sizes)
    return Check(name="accelerator", verdict="ok", message=message, numbers={"gpus": sizes})


def _check_room(folder: Path) -> Check:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    disk, memory = shutil.disk_usage(existing).free / 2**30, _free_memory_gib()
    short = disk < LEAST_DISK_GIB or (memory is not None and memory < LEAST_MEMORY_GIB)
    told = "" if memory is None else f"{memory:.1f} GiB of memory and "
    message = f"{told}{disk:.1f} GiB of disk are free"
    if short:
        message += f"; a whole Visium HD slide takes {LEAST_MEMORY_GIB:.0f} and {LEAST_DISK_GIB:.0f}"
    return Check(
        name="room",
        verdict="warning" if short else "ok",
        message=message,
        numbers={"memory_free_gib": memory, "disk_free_gib": disk},
    )


def _free_memory_gib() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return None
    free = {line.split(":")[0]: float(line.split()[1]) for line in lines}
    return free["MemAvailable"] / 2**20


def preset_weights() -> list[PresetWeights]:
    """List what each preset needs and whether it is here; a row for each network and what it is for."""
    presets: dict[tuple[str, str], list[str]] = {}
    wanted: dict[tuple[str, str], Weights] = {}
    for preset in DEFAULT_GENERATORS:
        for weights in study_weights(resolve_study(preset, seed=0)):
            key = (weights.purpose, weights.name)
            presets.setdefault(key, []).append(preset)
            wanted[key] = weights
    described = [_describe(weights, tuple(presets[key])) for key, weights in wanted.items()]
    return [*described, _describe(inception_weights(), (ANY_PRESET,))]


def _describe(weights: Weights, presets: tuple[str, ...]) -> PresetWeights:
    return PresetWeights(
        presets=presets,
        purpose=weights.purpose,
        name=weights.name,
        licence=_LICENCES.get(weights.name) or _licence_by_timm(weights.name),
        here=not weights.problem(online=False),
        option=f"{weights.setting} FILE" if weights.setting.startswith("--") else f"--set {weights.setting}=/path",
    )


def _licence_by_timm(name: str) -> str:
    import timm

    try:
        published = timm.get_pretrained_cfg(name)
    except RuntimeError:  # no such tag
        return ""
    return (published.license or "") if published else ""


def _sum_up(known: Sequence[PresetWeights]) -> Check:
    here = {f"{row.name}, {row.purpose}": row.here for row in known}
    message = f"{sum(here.values())} of {len(here)} that presets start from are on this machine; see below"
    return Check(name="weights", verdict="ok", message=message, numbers=here)


def _check_given(path: Path) -> Check:
    files = [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []
    size = sum(file.stat().st_size for file in files if file.is_file())
    if not size:
        message = f"{path}: no such weights, or nothing in them; download them there or give another path"
        return Check(name="weights", verdict="error", message=message)
    if not all(os.access(file, os.R_OK) for file in files):
        return Check(name="weights", verdict="error", message=f"{path}: may not be read by this user")
    message = f"{path}: {size / 2**20:,.0f} MiB"
    return Check(name="weights", verdict="ok", message=message, numbers={"bytes": size})
