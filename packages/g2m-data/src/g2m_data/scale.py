"""Microns per pixel of a section: which sources there are, and which one is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from g2m_data.errors import InputError
from g2m_data.lattice import Lattice
from g2m_data.manifest import SampleEntry
from g2m_data.units import Microns, MicronsPerPixel

DISAGREEMENT = 0.03
"""Relative difference between two sources that is worth a note."""
PLAUSIBLE_MPP = (0.02, 50.0)
"""Microns per pixel that a slide may have: beyond an oil immersion objective, and beyond a thumbnail."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Nominal dimensions of a platform."""

    pitch_um: Microns
    """Between neighbouring spots' (HD: bins') centres."""
    spot_um: Microns
    """Spot diameter, and so the width of a patch."""


GEOMETRY = {
    "visium-hd": Geometry(
        pitch_um=Microns(2.0), spot_um=Microns(55.0)
    ),  # pseudo-spots stand in for Visium's spots (paper, Data)
    "visium": Geometry(pitch_um=Microns(100.0), spot_um=Microns(55.0)),
    "st": Geometry(pitch_um=Microns(200.0), spot_um=Microns(100.0)),
}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What one pixel and one spot measure."""

    platform: str
    mpp: MicronsPerPixel
    """Microns per full-resolution pixel."""
    spot_um: Microns
    source: str
    """Where `mpp` comes from: ``manifest mpp``, ``manifest pitch_um``, ``scalefactors_json.json`` or ``lattice``."""
    notes: tuple[str, ...]


def decide_scale(
    sample: SampleEntry, is_hd: bool, lattice: Lattice | None, scalefactors: Mapping[str, float], positions: Path
) -> Scale:
    """Decide a section's scale and platform.

    The order is: `mpp` of the manifest, its `pitch_um` over the lattice's pitch, `microns_per_pixel` of Space Ranger's
    JSON, the platform's pitch over the lattice's. `spot_diameter_fullres` is never used, because it is not a 55 µm
    ruler: it was measured as 65 and as 70 µm.

    Raises
    ------
    InputError
        If the lattice is not the platform's and nothing explicit says what it is, if no source is left, or if the scale
        is no slide's.
    """
    platform = _platform(sample, is_hd, lattice, "microns_per_pixel" in scalefactors, positions)
    sources: dict[str, float] = {}
    if sample.mpp is not None:
        sources["manifest mpp"] = sample.mpp
    if sample.pitch_um is not None and lattice is not None:
        sources["manifest pitch_um"] = sample.pitch_um / lattice.pitch_px
    if scalefactors.get("microns_per_pixel", 0) > 0:
        sources["scalefactors_json.json"] = scalefactors["microns_per_pixel"]
    if lattice is not None and platform is not None and sample.pitch_um is None:
        pitch_um = (
            scalefactors.get("bin_size_um", GEOMETRY[platform].pitch_um) if is_hd else GEOMETRY[platform].pitch_um
        )
        sources["lattice"] = pitch_um / lattice.pitch_px
    if not sources:
        raise InputError(
            f"{positions}: too few spots to measure the slide's scale; give 'mpp' for sample {sample.id!r}"
        )

    source, mpp = next(iter(sources.items()))
    if not PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1]:
        raise InputError(
            f"{positions}: sample {sample.id!r} would have {mpp:.4g} µm per pixel, from {source}, as no slide has; "
            "compare positions and scale factors with Space Ranger's output, or state 'mpp' in the manifest"
        )
    notes = [
        f"mpp {mpp:.4f} from {source}, but {other} gives {value:.4f}"
        for other, value in sources.items()
        if abs(value / mpp - 1) > DISAGREEMENT
    ]
    measured_um = None if lattice is None else lattice.pitch_px * mpp
    if platform is None:  # a square lattice whose scale is given but whose platform is not
        if measured_um is not None and abs(measured_um / GEOMETRY["st"].pitch_um - 1) < 0.1:
            platform = "st"
        elif sample.spot_um is not None:
            platform = "visium"
        else:
            raise InputError(
                f"{positions}: sample {sample.id!r} is on no lattice g2m knows; give its 'spot_um' in the manifest"
            )
    spot_um = sample.spot_um if sample.spot_um is not None else GEOMETRY[platform].spot_um
    return Scale(
        platform=platform, mpp=MicronsPerPixel(mpp), spot_um=Microns(spot_um), source=source, notes=tuple(notes)
    )


def _platform(
    sample: SampleEntry, is_hd: bool, lattice: Lattice | None, json_has_mpp: bool, positions: Path
) -> str | None:
    """The platform, or None for a lattice that is not Visium's but whose scale is stated."""
    if is_hd:
        return "visium-hd"
    scale_is_stated = sample.mpp is not None or sample.pitch_um is not None
    if lattice is None:
        return sample.platform or "visium"
    if sample.platform == "st":
        if lattice.is_visium and not scale_is_stated:
            raise InputError(
                f"{positions}: sample {sample.id!r} has platform 'st', but its lattice is Visium's (row + column "
                "always even); say platform = \"visium\", or state 'mpp' or 'pitch_um'"
            )
        return "st"
    if lattice.is_visium:
        return "visium"
    if scale_is_stated or (sample.platform is None and json_has_mpp):
        return sample.platform
    raise InputError(
        f"{positions}: the spots of sample {sample.id!r} are not on Visium's lattice (row + column always even), so "
        'its scale cannot be told; say platform = "st" for a legacy array (200 µm pitch), or '
        "state 'mpp' or 'pitch_um' in the manifest"
    )
