"""What a person's machine has to offer: versions, devices, room, and weights that cannot be assumed. Never online."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from g2m_data.doctor.report import Check

LEAST_MEMORY_GIB, LEAST_DISK_GIB = 6.0, 10.0
"""What a build of a whole Visium HD slide may take, and what it and a run leave on disk."""
KNOWN_WEIGHTS = {
    "UNI": "hub/models--MahmoodLab--UNI",
    "Stable Diffusion 1.4": "hub/models--CompVis--stable-diffusion-v1-4",
}
"""Weights that presets ask the Hugging Face hub for, and where its cache keeps them."""


def check_environment(folder: Path, weights: Sequence[Path] = ()) -> list[Check]:
    """Look at this machine.

    Parameters
    ----------
    folder
        Where the artefacts will be written.
    weights
        Files or folders of weights that will be needed.
    """
    return [
        _check_software(),
        _check_devices(),
        _check_room(folder),
        _check_known_weights(),
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


def _check_known_weights() -> Check:
    cache = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    here = {name: any((cache / place).glob("snapshots/*/*")) for name, place in KNOWN_WEIGHTS.items()}
    absent = [name for name, found in here.items() if not found]
    message = f"on this machine: {', '.join(name for name in here if here[name]) or 'none of ' + ', '.join(here)}"
    if absent:
        message += "; needed by the presets paper and paper-code only, which take a local path as well"
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
