"""What two studies' files say, and where they differ."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

IGNORED = ("seconds", "seconds_per_1000_images", "images_per_second", "peak_rss_gib", "id", "created", "timing")
"""Keys and columns that differ from run to run, or with the code's version by design."""
_UNREAD = ("checkpoints", "superseded", "cache", "readers")  # moments of a run; names that are secret, drawn anew


def read(study: Path) -> dict[str, Any]:
    """Give what a study says, by file and key: numbers, texts, hashes of arrays."""
    said: dict[str, Any] = {}
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        parts = path.relative_to(study).parts
        if any(part in _UNREAD for part in parts[:-1]):
            continue
        inside = parts[0] == "dataset" or any(part.endswith(".zarr") for part in parts[:-1])
        reader = _bytes if inside else _READERS.get(path.name) or _READERS.get(path.suffix)
        if reader is not None and parts != ("dataset", "dataset.json"):  # that one holds versions
            said |= {f"{'/'.join(parts)}: {key}": value for key, value in reader(path)}
    return said


def differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    """Say what only one of them has, and what they say otherwise."""
    lines = []
    for key in sorted({*one, *two}):
        if key not in two:
            lines.append(f"{key}: gone")
        elif key not in one:
            lines.append(f"{key}: new")
        elif not _alike(one[key], two[key]):
            lines.append(f"{key}: {one[key]!r} -> {two[key]!r}")
    return lines


def _alike(one: Any, two: Any) -> bool:
    both_absent = isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two)
    return both_absent or (type(one) is type(two) and one == two)


def _of_json(path: Path) -> Iterator[tuple[str, Any]]:
    yield from _leaves(json.loads(path.read_text()), "")


def _of_losses(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines()):
        yield from _leaves(json.loads(line), f"{number}")


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            if key not in IGNORED:
                yield from _leaves(below, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _leaves(below, f"{where}[{number}]")
    else:
        yield where, value


def _of_table(path: Path) -> Iterator[tuple[str, Any]]:
    import pandas as pd

    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    yield "rows", len(table)
    for column in table:
        if not any(word in str(column) for word in ("seconds", "s per 1,000")):
            yield str(column), _hash(table[column].to_csv(index=False).encode())


def _of_anndata(path: Path) -> Iterator[tuple[str, Any]]:
    import h5py
    import numpy as np

    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("uns/provenance"):
            found[name] = _hash(repr(np.asarray(item[()]).tolist()).encode())

    with h5py.File(path) as file:
        file.visititems(note)
    yield from found.items()


def _of_weights(path: Path) -> Iterator[tuple[str, Any]]:
    from safetensors.numpy import load_file

    for name, array in load_file(path).items():
        yield name, _hash(array.tobytes())


def _bytes(path: Path) -> Iterator[tuple[str, Any]]:
    yield "bytes", _hash(path.read_bytes())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Any]]]] = {
    "metrics.json": _of_json,
    "images.json": _of_json,
    "metrics.jsonl": _of_losses,
    ".csv": _of_table,
    ".parquet": _of_table,
    ".h5ad": _of_anndata,
    ".safetensors": _of_weights,
}
