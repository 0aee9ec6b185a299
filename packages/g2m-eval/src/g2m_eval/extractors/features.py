"""Features of more patches than memory holds, and a cache of them by content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkstemp

import numpy as np
from jaxtyping import Float

from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Extractor, Patches
from g2m_eval.extractors.training import Track, pass_through
from g2m_eval.resize import resize_patches

_BLOCK = 256
_CHECKSUM = hashlib.sha256().digest_size


def stream_features(
    patches: Patches,
    extractor: Extractor,
    *,
    resolution: int | None = None,
    batch_size: int = _BLOCK,
    cache: FeatureCache | None = None,
    digest: str | None = None,
    track: Track = pass_through,
) -> Float[np.ndarray, "n dim"]:
    """Features (float32) of patches that are sliced a batch at a time and never held together.

    Parameters
    ----------
    patches
        uint8 ``(n, height, width, 3)``: a numpy, zarr or memory-mapped array, or a view of a dataset.
    extractor
        What turns them into features.
    resolution
        Pixels a side to which patches are brought first (`resize_patches`); None leaves them as they are.
    batch_size
        Patches read and handed to the extractor at once.
    cache
        Where features are kept and found again; the result is then memory-mapped.
    digest
        `content_digest` of the patches, where the caller knows it already.
    track
        Called as ``rich.progress.track``.

    Raises
    ------
    InputError
        There are no patches, or they are not uint8 RGB.
    """
    shape = patches.shape
    if len(shape) != 4 or shape[3] != 3 or not shape[0]:
        raise InputError(f"features need one or more RGB patches (n, height, width, 3), got {tuple(shape)}")

    def batches() -> Iterator[Float[np.ndarray, "batch dim"]]:
        starts = range(0, patches.shape[0], batch_size)
        for start in track(starts, description=f"features ({extractor.name})", total=len(starts)):
            yield extractor.features(_read(patches, start, batch_size, resolution))

    if cache is None:
        return _fill(batches(), patches.shape[0], lambda shape: np.empty(shape, dtype=np.float32))
    known = digest if digest is not None else content_digest(patches)
    return cache.get(extractor.name, resolution, known, patches.shape[0], batches)


def content_digest(patches: Patches) -> str:
    """SHA-256 over size and content of patches, read a block at a time: the same whatever holds them."""
    digest = hashlib.sha256(repr(tuple(int(side) for side in patches.shape)).encode())
    for start in range(0, patches.shape[0], _BLOCK):
        digest.update(_read(patches, start, _BLOCK, None).data)
    return digest.hexdigest()


class FeatureCache:
    """Features on disk, by extractor, size and content of the patches: ``<extractor>/<digest>-<size>.npy``.

    Entries are ordinary ``.npy`` files with a checksum behind the array. They appear at once and complete, so that two
    processes may compute the same; one that was cut short or changed is computed again. Deleting any is safe.

    Parameters
    ----------
    directory
        Is made when the first entry is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)

    def path(self, extractor: str, resolution: int | None, digest: str) -> Path:
        """Tell where the features are, or would be."""
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", extractor)[:80]
        # two names may read the same once made fit for a folder
        folder += "-" + hashlib.sha256(extractor.encode()).hexdigest()[:8]
        size = "native" if resolution is None else f"{resolution}px"
        return self.directory / folder / f"{digest[:32]}-{size}.npy"

    def get(
        self,
        extractor: str,
        resolution: int | None,
        digest: str,
        count: int,
        compute: Callable[[], Iterator[Float[np.ndarray, "batch dim"]]],
    ) -> Float[np.ndarray, "count dim"]:
        """Features of ``count`` patches, memory-mapped: those that are there, or else those that ``compute`` yields."""
        target = self.path(extractor, resolution, digest)
        found = _open_entry(target, count)
        if found is not None:
            return found
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = mkstemp(prefix=f".{target.stem}-", suffix=".partial", dir=target.parent)
        os.close(handle)
        partial = Path(name)
        try:
            features = _fill(
                compute(),
                count,
                lambda shape: np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape),
            )
            features.flush()  # type: ignore[attr-defined]
            del features
            checksum = _checksum(partial, partial.stat().st_size)
            with partial.open("ab") as file:
                file.write(checksum)
            partial.chmod(0o644)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return np.asanyarray(np.load(target, mmap_mode="r"))


def _open_entry(path: Path, count: int) -> Float[np.ndarray, "count dim"] | None:
    """Open an entry; None where it is absent, cut short or not what was written."""
    try:
        size = path.stat().st_size - _CHECKSUM
        with path.open("rb") as file:
            file.seek(max(size, 0))
            expected = file.read()
        if size <= 0 or _checksum(path, size) != expected:
            return None
        features = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    whole = features.ndim == 2 and len(features) == count and features.dtype == np.float32
    return features if whole else None


def _checksum(path: Path, size: int) -> bytes:
    """SHA-256 of the first ``size`` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1 << 22))):
            digest.update(block)
            size -= len(block)
    return digest.digest()


def _fill(
    batches: Iterator[Float[np.ndarray, "batch dim"]], count: int, make: Callable[[tuple[int, int]], np.ndarray]
) -> Float[np.ndarray, "count dim"]:
    features: np.ndarray | None = None
    filled = 0
    for batch in batches:
        if features is None:
            features = make((count, batch.shape[1]))
        features[filled : filled + len(batch)] = batch
        filled += len(batch)
    if features is None or filled != count:
        raise RuntimeError(f"{filled} rows of features for {count} patches")
    return features


def _read(patches: Patches, start: int, count: int, resolution: int | None) -> np.ndarray:
    batch = np.ascontiguousarray(patches[start : start + count])
    if batch.dtype != np.uint8:
        raise InputError(f"features need uint8 patches, got {batch.dtype}: convert them to 0-255 first")
    return batch if resolution is None else resize_patches(batch, resolution)
