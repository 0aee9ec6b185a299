"""Training input: patches from the slide in memory, and the same patches from PNG files."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 128
EMBEDDING = 512
"""Numbers in an embedding, as the paper's preset has them."""
ROUNDS = 7
SECONDS = 2.0
"""How long a round lasts at least."""


def resident(dataset: str, sample: str) -> dict[str, float]:
    """Pairs a second: patch as float32 in [-1, 1], flipped at random, and the embedding's row."""
    import numpy as np

    from g2m_data import open_dataset
    from g2m_data.patches import read_patches

    opened = open_dataset(Path(dataset), samples=[sample])
    slide, px = np.array(opened.slide(sample)), opened.patch_px
    random = np.random.default_rng(0)
    embedding = random.standard_normal((len(opened), EMBEDDING), dtype=np.float32)
    patches = np.empty((BATCH, 3, px, px), np.float32)

    def batch() -> None:
        rows = random.integers(len(opened), size=BATCH)
        read_patches(slide, opened.corners[rows], px, patches, flips=random.integers(4, size=BATCH))
        embedding[rows]

    return {"per_s": _rate(batch)}


def from_files(dataset: str, sample: str, folder: str, patches: int) -> dict[str, float]:
    """The same from PNG files that are in the system's cache, decoded by OpenCV in two threads."""
    import cv2
    import numpy as np

    from g2m_data import open_dataset

    opened = open_dataset(Path(dataset), samples=[sample])
    random = np.random.default_rng(0)
    chosen = random.choice(len(opened), size=min(patches, len(opened)), replace=False)
    files = [Path(folder) / f"{number}.png" for number in range(len(chosen))]
    for start in range(0, len(chosen), BATCH):
        for file, patch in zip(files[start:], opened.patches(chosen[start : start + BATCH]), strict=False):
            cv2.imwrite(str(file), cv2.cvtColor(patch, cv2.COLOR_RGB2BGR))
    embedding = random.standard_normal((len(chosen), EMBEDDING), dtype=np.float32)
    out = np.empty((BATCH, 3, opened.patch_px, opened.patch_px), np.float32)
    cv2.setNumThreads(1)

    def one(place: int, row: int, flip: int) -> None:
        patch = cv2.cvtColor(cv2.imread(str(files[row])), cv2.COLOR_BGR2RGB)
        if flip:
            patch = cv2.flip(patch, (1, 0, -1)[flip - 1])
        np.divide(patch.transpose(2, 0, 1), np.float32(127.5), out=out[place])
        out[place] -= 1

    with ThreadPoolExecutor(2) as pool:

        def batch() -> None:
            rows = random.integers(len(chosen), size=BATCH)
            list(pool.map(one, range(BATCH), rows.tolist(), random.integers(4, size=BATCH).tolist()))
            embedding[rows]

        rate = _rate(batch)
    return {"per_s": rate, "bytes": sum(file.stat().st_size for file in files) / len(files)}


def _rate(batch) -> float:  # type: ignore[no-untyped-def]
    """Median over rounds, after one that does not count."""
    rates = []
    for _ in range(1 + ROUNDS):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            batch()
            done += BATCH
        rates.append(done / (time.perf_counter() - began))
    return statistics.median(rates[1:])
