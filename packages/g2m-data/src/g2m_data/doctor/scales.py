"""Microns per pixel from every source there is, side by side."""

from g2m_data.doctor.report import Check
from g2m_data.doctor.specimen import Specimen
from g2m_data.scale import DISAGREEMENT, GEOMETRY

COARSE_UM = 10.0
"""A tag that gives more microns per pixel than this is a printer's resolution (72, 96 dpi), not a microscope's."""
DIAMETER_UM = {"visium": 65.0, "st": 100.0}
"""What Space Ranger's `spot_diameter_fullres` stands for: 65 µm in version 1 and 70 µm later, so it is no ruler."""
REASONS = {
    "manifest mpp": "because the manifest says so",
    "manifest pitch_um": "because the manifest gives the pitch",
    "scalefactors_json.json": "because Space Ranger measured it",
    "lattice": "because nothing states it and the pitch of the array is known",
}


def check_scale(specimen: Specimen) -> Check:
    """Which scale is used and why, and how far every other source is from it.

    The spot diameter of Visium and a tag that cannot be a microscope's are listed and not complained of.
    """
    found = list_scales(specimen)
    if isinstance(specimen.scale, str):
        return Check(name="scale", verdict="error", message=specimen.scale, numbers={"mpp": found})
    used, source = specimen.scale.mpp, specimen.scale.source
    no_rulers = [
        name
        for name, mpp in found.items()
        if mpp >= COARSE_UM or (name == "spot_diameter_fullres" and not specimen.is_hd)
    ]
    percent = {name: 100 * (mpp / used - 1) for name, mpp in found.items()}
    apart = [name for name in found if abs(percent[name]) > 100 * DISAGREEMENT and name not in no_rulers]
    message = f"{used:.4f} µm per pixel from {source}, {REASONS.get(source, 'as it was built')}"
    if apart:
        others = ", ".join(f"{name} gives {found[name]:.4f} ({percent[name]:+.1f} %)" for name in apart)
        message += f"; but {others}: measure it against a scale bar and set 'mpp' in the manifest"
    return Check(
        name="scale",
        verdict="warning" if apart else "ok",
        message=message,
        numbers={"used": source, "mpp": found, "difference_percent": percent, "no_rulers": no_rulers},
    )


def list_scales(specimen: Specimen) -> dict[str, float]:
    """Microns per pixel by source, in the order in which they are believed; the one in use among them."""
    sample, lattice, factors = specimen.settings, specimen.lattice, specimen.scalefactors
    scale = None if isinstance(specimen.scale, str) else specimen.scale
    platform = sample.platform if scale is None else scale.platform
    found: dict[str, float] = {}
    if sample.mpp is not None:
        found["manifest mpp"] = sample.mpp
    if sample.pitch_um is not None and lattice is not None:
        found["manifest pitch_um"] = sample.pitch_um / lattice.pitch_px
    if factors.get("microns_per_pixel", 0) > 0:
        found["scalefactors_json.json"] = factors["microns_per_pixel"]
    bin_um = factors.get("bin_size_um", float(GEOMETRY["visium-hd"].pitch_um))
    if lattice is not None and (specimen.is_hd or platform is not None):
        found["lattice"] = (bin_um if specimen.is_hd else GEOMETRY[platform or "visium"].pitch_um) / lattice.pitch_px
    diameter_um = bin_um if specimen.is_hd else DIAMETER_UM.get(platform or "visium", 65.0)
    if factors.get("spot_diameter_fullres", 0) > 0:
        found["spot_diameter_fullres"] = diameter_um / factors["spot_diameter_fullres"]
    if specimen.facts is not None:
        found |= specimen.facts.mpp_tags
    if scale is not None:
        found.setdefault(scale.source, scale.mpp)
    return found
