"""Examine a section: every check that can be made of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from g2m_data.doctor.contents import check_genes, check_library
from g2m_data.doctor.placement import check_extent, check_lattice, check_tissue
from g2m_data.doctor.registration import Registration, check_registration, register
from g2m_data.doctor.report import Check, SampleReport
from g2m_data.doctor.scales import check_scale
from g2m_data.doctor.slides import check_slide, check_stain
from g2m_data.doctor.sources import find_sources
from g2m_data.doctor.specimen import Specimen
from g2m_data.errors import InputError
from g2m_data.progress import Track, silent
from g2m_data.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Examination:
    """A section's checks, and what is needed to draw it."""

    report: SampleReport
    specimen: Specimen | None
    """None where its files cannot be read."""
    registration: Registration | None


def examine(path: Path, *, track: Track = silent) -> Iterator[Examination]:
    """Examine the sections of a study manifest (raw files, nothing is built) or of a dataset, one at a time.

    Whatever is wrong with one section is a check of the verdict ``error``, and the next is examined all the same.

    Parameters
    ----------
    path
        A study manifest (TOML) or a dataset folder.
    track
        Shows progress; signature of :func:`rich.progress.track`.

    Raises
    ------
    InputError
        If `path` is neither, or the manifest has a mistake.
    """
    for source in find_sources(path, track=track):
        try:
            yield _examine(source.open())
        except InputError as error:
            broken = Check(name="files", verdict="error", message=str(error))
            settings = source.settings
            report = SampleReport(
                id=settings.id, platform=settings.platform or "unknown", split=settings.split, checks=(broken,)
            )
            yield Examination(report=report, specimen=None, registration=None)


def _examine(specimen: Specimen) -> Examination:
    checks = [check_scale(specimen), check_lattice(specimen), check_genes(specimen), check_library(specimen)]
    registration = None
    scale, slide = specimen.scale, specimen.slide
    if isinstance(slide, str):
        checks.append(Check(name="slide", verdict="error", message=slide))
    else:
        checks.append(check_slide(specimen, slide))
        checks.append(check_stain(specimen, slide))
    if isinstance(scale, Scale) and not isinstance(slide, str):
        checks.append(check_extent(specimen, scale, slide))
        checks.append(check_tissue(specimen, scale, slide))
        registration = register(specimen, scale, slide)
        checks.append(check_registration(specimen, scale, registration))
    if specimen.notes:
        checks.append(Check(name="notes", verdict="warning", message="; ".join(specimen.notes)))
    settings = specimen.settings
    platform = scale.platform if isinstance(scale, Scale) else settings.platform or "unknown"
    report = SampleReport(id=settings.id, platform=platform, split=settings.split, checks=tuple(checks))
    return Examination(report=report, specimen=specimen, registration=registration)
