"""What a slide's file says about itself: size, compression, pyramid, and its own idea of its scale."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from g2m_data.slide import TIFF_MAGIC

MICRONS = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3}
_RESOLUTION_UNIT_UM = {2: 25400.0, 3: 10000.0}
"""TIFF's resolution units: inch, centimetre."""


@dataclass(frozen=True, kw_only=True)
class SlideFacts:
    """A slide's file, undecoded."""

    format: str
    """TIFF, BigTIFF, JPEG or PNG."""
    compression: str
    dtype: str
    levels: int
    """Levels of its pyramid; 1 without one."""
    tiled: bool
    """Whether a part can be read without the rest."""
    mpp_tags: dict[str, float]
    """Microns per pixel by the tag that says so."""


def read_slide_facts(path: Path) -> SlideFacts:
    """Read a slide's tags. The file must be one that :func:`~g2m_data.slide.open_slide` opens."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in TIFF_MAGIC:
        name = "JPEG" if magic[:2] == b"\xff\xd8" else "PNG"
        return SlideFacts(format=name, compression=name, dtype="uint8", levels=1, tiled=False, mpp_tags={})
    with tifffile.TiffFile(path) as tiff:
        series = max(tiff.series, key=lambda candidate: candidate.size)
        page = series.keyframe
        tags = _resolution_tags(page) | _aperio_tag(page.description) | _ome_tag(tiff.ome_metadata)
        return SlideFacts(
            format="BigTIFF" if tiff.is_bigtiff else "TIFF",
            compression=getattr(page.compression, "name", str(page.compression)),
            dtype=str(series.dtype),
            levels=len(series.levels),
            tiled=bool(page.is_tiled),
            mpp_tags=tags,
        )


def _resolution_tags(page: tifffile.TiffPage) -> dict[str, float]:
    unit, resolution = page.tags.get("ResolutionUnit"), page.tags.get("XResolution")
    if unit is None or resolution is None:
        return {}
    try:
        numerator, denominator = (float(part) for part in resolution.value)
        width_um = _RESOLUTION_UNIT_UM.get(int(unit.value))
    except (TypeError, ValueError):  # a damaged tag says nothing
        return {}
    if width_um is None or numerator <= 0 or denominator <= 0:
        return {}
    return {"TIFF XResolution": width_um * denominator / numerator}


def _aperio_tag(description: str) -> dict[str, float]:
    found = re.search(r"\|\s*MPP\s*=\s*([0-9]*\.?[0-9]+)", description)
    return {"Aperio MPP": float(found[1])} if found and float(found[1]) > 0 else {}


def _ome_tag(metadata: str | None) -> dict[str, float]:
    if not metadata:
        return {}
    try:
        pixels = ElementTree.fromstring(metadata).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return {}
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return {}
    try:
        size = float(pixels.attrib["PhysicalSizeX"]) * MICRONS.get(pixels.attrib.get("PhysicalSizeXUnit", "µm"), 0.0)
    except ValueError:
        return {}
    return {"OME PhysicalSizeX": size} if 0 < size < math.inf else {}
