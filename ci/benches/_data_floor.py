"""The least that building a dataset takes: its matrix decompressed once by h5py, its slide decoded once by tifffile."""

from __future__ import annotations

import time
from pathlib import Path


def floor(study: str) -> dict[str, float]:
    """Seconds for every section of a study, with the libraries' defaults; also its non-zeros."""
    import h5py
    import tifffile

    found = {"matrix_s": 0.0, "slide_s": 0.0, "nonzeros": 0}
    for matrix, slide in sources(study):
        began = time.perf_counter()
        with h5py.File(matrix) as file:
            _decompress(file["matrix"])
            found["nonzeros"] += len(file["matrix/data"])
        found["matrix_s"] += time.perf_counter() - began
        began = time.perf_counter()
        tifffile.imread(slide)
        found["slide_s"] += time.perf_counter() - began
    return found


def _decompress(group) -> None:  # type: ignore[no-untyped-def]
    for item in group.values():
        if hasattr(item, "values"):
            _decompress(item)
        else:
            item[...]


def read_once(study: str) -> dict[str, float]:
    """Read every input, so that whoever comes first does not pay for the disk."""
    for paths in sources(study):
        for path in paths:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass
    return {}


def sources(study: str) -> list[tuple[Path, Path]]:
    """Matrix and slide of each section."""
    from g2m_data.manifest import read_manifest
    from g2m_data.spaceranger.layout import find_layout

    samples = read_manifest(Path(study)).samples
    return [(find_layout(s.spaceranger, s.platform, s.prefix).matrix, s.image) for s in samples]
