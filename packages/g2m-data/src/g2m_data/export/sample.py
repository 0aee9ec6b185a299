"""Export one section, whole or not at all."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from g2m_data.atomic import temporary_sibling
from g2m_data.dataset import PairedDataset
from g2m_data.errors import InputError
from g2m_data.export.h5ad import write_h5ad
from g2m_data.export.hest import write_hest
from g2m_data.export.section import ExportedSection
from g2m_data.progress import Track, silent


class Writer(Protocol):
    """Writes a section to a path that does not exist."""

    def __call__(self, section: ExportedSection, path: Path, *, track: Track) -> None:
        """Write it."""
        ...


def _spatialdata() -> Writer:
    if find_spec("spatialdata") is None:
        raise InputError(
            "the library spatialdata, which writes such stores, is not installed; "
            "install it with: pip install 'g2m-data[spatialdata]'"
        )
    from g2m_data.export.spatial_store import write_spatialdata

    writer: Writer = write_spatialdata
    return writer


_WRITERS: dict[str, Callable[[], Writer]] = {
    "h5ad": lambda: write_h5ad,
    "spatialdata": _spatialdata,
    "hest": lambda: write_hest,
}
FORMATS = tuple(_WRITERS)
"""What :func:`export_sample` writes."""


def export_sample(dataset: PairedDataset, sample: str, out: Path, *, to: str, track: Track = silent) -> None:
    """Write one section of a dataset, in the view it is open in, to a file or folder that other libraries open.

    Parameters
    ----------
    dataset
        An open dataset.
    sample
        The section's id.
    out
        What to create; it appears when it is complete and not before. Nothing is overwritten.
    to
        ``"h5ad"``: AnnData with counts (:func:`~g2m_data.export.h5ad.write_h5ad`); ``"hest"``: patches in HEST's layout
        (:func:`~g2m_data.export.hest.write_hest`); ``"spatialdata"``: slide, windows and counts in one store
        (:func:`~g2m_data.export.spatial_store.write_spatialdata`), which needs the extra ``g2m-data[spatialdata]``.
    track
        Shows progress; signature of :func:`rich.progress.track`.

    Raises
    ------
    InputError
        For an unknown sample or format, something at `out`, a missing library, a full disk; nothing is left behind.
    """
    out = Path(out)
    if to not in _WRITERS:
        raise InputError(f"unknown format {to!r}: expected one of {', '.join(FORMATS)}")
    if sample not in dataset.samples:
        raise InputError(f"{dataset.path}: has no sample {sample!r}, only {', '.join(dataset.samples)}")
    section = ExportedSection(dataset, sample)
    if not len(section):
        raise InputError(f"{dataset.path}: sample {sample!r} has no window that {dataset.view.wanted}")
    if out.exists():
        raise InputError(f"{out}: exists already; name another file, or move it away first")
    write = _WRITERS[to]()
    with temporary_sibling(out, "nothing was written") as path:
        write(section, path, track=track)
