"""Where the spots lie: on a straight lattice, on the slide, on tissue."""

import math

import numpy as np
from numpy.typing import NDArray

from g2m_data.doctor.report import Check, Verdict
from g2m_data.doctor.specimen import SlideView, Specimen
from g2m_data.lattice import VISIUM_ASPECT, Lattice
from g2m_data.scale import Scale
from g2m_data.stain import BETA, LIGHT

MOST_SHEAR_DEG = 0.5
MOST_STRETCH = 0.01
"""Difference between the scales along array rows and columns, relative."""
MOST_RESIDUAL = 0.1
"""Of a spot from its place on the lattice, in pitches."""
MOST_CUT_OFF = 0.1
"""Share of the patches that may lie partly outside the slide."""
MOST_ON_GLASS = 0.2
"""Share of the pairs that may lie on glass."""
N_WORST = 3


def check_lattice(specimen: Specimen) -> Check:
    """Pitch, rotation, flips, shear and stretch of the array on the slide, and the spots that do not lie on it."""
    lattice = specimen.lattice
    if lattice is None:
        return Check(
            name="lattice",
            verdict="warning",
            message="too few spots to tell how the array lies on the slide; check the overlay picture",
        )
    um = 1.0 if isinstance(specimen.scale, str) else specimen.scale.mpp
    unit, shown = ("px", "px") if isinstance(specimen.scale, str) else ("um", "µm")
    residual = np.linalg.norm(lay_out(lattice, *specimen.array.T) - specimen.xy, axis=1) * um
    worst = np.argpartition(residual, -N_WORST)[-N_WORST:]  # a lattice has four spots at least
    worst = worst[np.argsort(residual[worst])[::-1]]
    shear, stretch = _shear_deg(lattice), lattice.aspect / (VISIUM_ASPECT if lattice.is_visium else 1.0) - 1
    pitch = lattice.pitch_px * um
    misplaced = int((residual > MOST_RESIDUAL * pitch).sum())
    complaints = []
    if misplaced:
        names = ", ".join(str(specimen.barcodes[i]) for i in worst[:misplaced])
        complaints.append(
            f"{misplaced} spots lie more than {MOST_RESIDUAL:.0%} of the pitch off it (worst: {names}), and patches "
            "follow them: compare the positions file with its source, and look at the overlay picture"
        )
    if abs(shear) > MOST_SHEAR_DEG:
        complaints.append(f"it is sheared by {shear:.2f}°: was the slide resized unevenly?")
    if abs(stretch) > MOST_STRETCH:
        complaints.append(f"its rows are {100 * stretch:+.1f} % too far apart for its columns: was the slide resized?")
    turn = f"turned by {lattice.rotation_deg:.2f}°, {describe_flips(lattice)}"
    message = f"pitch {pitch:.2f} {shown}, {turn}; spots within {residual.max():.2f} {shown} of it"
    return Check(
        name="lattice",
        verdict="warning" if complaints else "ok",
        message="; ".join([message, *complaints]),
        numbers={
            "pitch_px": lattice.pitch_px,
            "rotation_deg": lattice.rotation_deg,
            "flip_rows": lattice.flip_rows,
            "flip_cols": lattice.flip_cols,
            "shear_deg": shear,
            "stretch": stretch,
            f"residual_median_{unit}": float(np.median(residual)),
            f"residual_max_{unit}": float(residual.max()),
            "misplaced": misplaced,
            "worst": {str(specimen.barcodes[i]): float(residual[i]) for i in worst},
        },
    )


def describe_flips(lattice: Lattice) -> str:
    """Name the flips in words."""
    flipped = [name for name, flip in (("rows", lattice.flip_rows), ("columns", lattice.flip_cols)) if flip]
    return f"{' and '.join(flipped)} flipped" if flipped else "not flipped"


def check_extent(specimen: Specimen, scale: Scale, slide: SlideView) -> Check:
    """Spots outside the slide, and patches that its edge cuts off."""
    x, y = specimen.xy[:, 0], specimen.xy[:, 1]
    outside = (x < -0.5) | (y < -0.5) | (x > slide.width - 0.5) | (y > slide.height - 0.5)
    n_pairs = len(specimen.pair_rows)
    cut = int((~specimen.patches_inside(scale, slide)).sum()) if n_pairs else 0
    numbers = {"spots": len(x), "spots_outside": int(outside.sum()), "pairs": n_pairs, "patches_cut_off": cut}
    verdict: Verdict = "ok"
    if outside.any():
        verdict, message = (
            "error",
            f"{outside.sum()} of {len(x)} spots lie outside the slide of {slide.width} x {slide.height} pixels; "
            "give the full-resolution image that Space Ranger was run with",
        )
    elif not n_pairs:
        verdict, message = "error", f"no window of bins {specimen.view.wanted}; make the view's window smaller"
    elif cut == n_pairs:
        verdict, message = "error", "every patch lies partly outside the slide; is 'mpp' right?"
    else:
        verdict = "warning" if cut > MOST_CUT_OFF * n_pairs else "ok"
        message = f"all spots lie on the slide; {cut} of {n_pairs} patches are cut off by its edge" + (
            ", and will be left out: is it the whole slide?" if verdict == "warning" else ""
        )
    return Check(name="extent", verdict=verdict, message=message, numbers=numbers)


def check_tissue(specimen: Specimen, scale: Scale, slide: SlideView) -> Check:
    """How much of the array is under tissue, and whether the slide shows tissue where the pairs are."""
    shares = {} if specimen.positions is None else {"array_under_tissue": len(specimen.array) / specimen.positions}
    on_tissue = measure_cover(slide, specimen.xy[specimen.pair_rows], scale.spot_um / scale.mpp)
    on_glass = float((on_tissue < 0.05).mean()) if len(on_tissue) else 0.0
    numbers = shares | {"slide_is_tissue": float(stained(slide.overview).mean()), "pairs_on_glass": on_glass}
    verdict: Verdict = "warning" if on_glass > MOST_ON_GLASS else "ok"
    message = f"{100 * on_glass:.1f} % of the pairs lie on empty glass" + (
        ": is it this section's slide? Look at the overlay picture" if verdict == "warning" else ""
    )
    if shares:
        message = f"{100 * shares['array_under_tissue']:.0f} % of the array is under tissue; {message}"
    return Check(name="tissue", verdict=verdict, message=message, numbers=numbers)


def stained(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where an image is darker than glass in every channel, as stain estimation has it."""
    darkest_glass = LIGHT * math.exp(-BETA) - 1
    return np.asarray((rgb <= darkest_glass).all(axis=-1))


def measure_cover(slide: SlideView, xy: NDArray[np.float64], width_px: float) -> NDArray[np.float64]:
    """Share of stained pixels in the square of `width_px` around each point, from the overview; (n,)."""
    total = np.zeros((slide.overview.shape[0] + 1, slide.overview.shape[1] + 1))
    total[1:, 1:] = stained(slide.overview).cumsum(axis=0).cumsum(axis=1)
    centre = (xy + 0.5) * slide.overview_scale
    half = max(0.5, width_px * slide.overview_scale / 2)
    limit = np.array(total.shape[::-1]) - 1
    low = np.clip(np.rint(centre - half), 0, limit).astype(int)
    high = np.clip(np.rint(centre + half), 0, limit).astype(int)
    inside = total[high[:, 1], high[:, 0]] - total[low[:, 1], high[:, 0]]
    inside -= total[high[:, 1], low[:, 0]] - total[low[:, 1], low[:, 0]]
    return np.asarray(inside / np.maximum(1, (high - low).prod(axis=1)))


def lay_out(
    lattice: Lattice, row: NDArray[np.integer | np.floating], col: NDArray[np.integer | np.floating]
) -> NDArray[np.float64]:
    """Full-resolution pixels (…, 2) of places on the array, whole or between them."""
    steps = row[..., None] * np.array(lattice.per_row) + col[..., None] * np.array(lattice.per_col)
    return np.asarray(np.array(lattice.origin) + steps)


def _shear_deg(lattice: Lattice) -> float:
    """By how much the angle between array rows and columns differs from a right angle."""
    dot = np.dot(lattice.per_row, lattice.per_col)
    return math.degrees(math.asin(dot / math.hypot(*lattice.per_row) / math.hypot(*lattice.per_col)))
