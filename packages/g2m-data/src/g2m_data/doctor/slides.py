"""The slide's file and its stain."""

import numpy as np

from g2m_data.doctor.report import Check, Verdict
from g2m_data.doctor.specimen import SlideView, Specimen
from g2m_data.errors import InputError
from g2m_data.stain import TARGET_STAINS, estimate_stain

MOST_STAIN_ANGLE_DEG = 20.0
"""Between a stain's colour and the usual one of that stain; laboratories differ by about ten degrees."""
LEAST_APART_DEG = 8.0
"""Between the two stains' colours: closer ones cannot be unmixed."""


def check_slide(specimen: Specimen, slide: SlideView) -> Check:
    """Size, type, compression and pyramid of the slide."""
    message = f"{slide.width} x {slide.height} pixels"
    numbers: dict[str, object] = {"width": slide.width, "height": slide.height}
    facts = specimen.facts
    verdict: Verdict = "ok"
    if facts is not None:
        pyramid = f"a pyramid of {facts.levels} levels" if facts.levels > 1 else "no pyramid"
        message += f", {facts.format}, {facts.dtype}, compression {facts.compression}, {pyramid}"
        numbers |= {
            "format": facts.format,
            "dtype": facts.dtype,
            "compression": facts.compression,
            "levels": facts.levels,
            "tiled": facts.tiled,
            "mpp_tags": facts.mpp_tags,
        }
    if slide.scale != 1:
        message += f", kept at {slide.scale:.3f} of its resolution"
    if not isinstance(specimen.scale, str):
        per_patch = specimen.scale.spot_um / specimen.scale.mpp
        numbers["patch_px"] = per_patch
        if per_patch < specimen.patch_px / 2 and specimen.facts is not None:
            verdict = "warning"
            message += (
                f"; a patch of {specimen.scale.spot_um:.0f} µm has only {per_patch:.0f} of the {specimen.patch_px} "
                "pixels asked for: give a finer slide, or set 'pixels' lower"
            )
    return Check(name="slide", verdict=verdict, message=message, numbers=numbers)


def check_stain(specimen: Specimen, slide: SlideView) -> Check:
    """Whether the slide's two stains can be told apart and look like haematoxylin and eosin."""
    height, width = slide.overview.shape[:2]
    top, left = height // 10, width // 10
    try:
        stain = estimate_stain(slide.overview[top : height - top, left : width - left])
    except InputError as error:
        needed = specimen.stain != "none"
        advice = 'is it the section\'s H&E slide? Or set stain = "none"' if needed else "fine, as stain is none"
        return Check(name="stain", verdict="error" if needed else "warning", message=f"{error}; {advice}")
    stains = stain.stains / np.linalg.norm(stain.stains, axis=0)
    usual = TARGET_STAINS / np.linalg.norm(TARGET_STAINS, axis=0)
    off = np.degrees(np.arccos(np.clip((stains * usual).sum(axis=0), -1, 1)))
    apart = float(np.degrees(np.arccos(np.clip(stains[:, 0] @ stains[:, 1], -1, 1))))
    state = "after normalisation: " if slide.is_normalised else ""
    message = f"{state}haematoxylin {off[0]:.0f}° and eosin {off[1]:.0f}° from their usual colours, {apart:.0f}° apart"
    odd = bool((off > MOST_STAIN_ANGLE_DEG).any()) or apart < LEAST_APART_DEG
    if odd:
        message += ': this does not look like H&E; look at the slide, or set stain = "none"'
    return Check(
        name="stain",
        verdict="warning" if odd else "ok",
        message=message,
        numbers={
            "haematoxylin": stain.stains[:, 0].tolist(),
            "eosin": stain.stains[:, 1].tolist(),
            "concentration": stain.concentration.tolist(),
            "angle_from_usual_deg": off.tolist(),
            "angle_between_deg": apart,
        },
    )
