"""A section's picture to look at before anyone trains: spots and windows where they lie, and library size as colour."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from g2m_data.doctor.examine import Examination
from g2m_data.doctor.placement import describe_flips, lay_out
from g2m_data.doctor.specimen import SlideView, Specimen
from g2m_data.errors import InputError
from g2m_data.lattice import Lattice
from g2m_data.scale import Scale

PANEL = 860
"""Pixels along a panel's side."""
GAP, TITLE, HEAD = 24, 34, 66
SPOT, PATCH, TISSUE = (0, 200, 255), (255, 140, 0), (0, 120, 40)
"""Colours of spots or windows, of patches, and of the edge of the tissue as Space Ranger found it."""
DETAIL_PITCHES, DETAIL_UM = 3.5, 260.0
"""Width of a detail: pitches between spots, or µm where there are windows."""
Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class _Canvas:
    """A panel, and where full-resolution pixels lie on it."""

    image: NDArray[np.uint8]
    origin: NDArray[np.float64]
    """(x, y) of the panel's corner, in full-resolution pixels from the slide's corner."""
    zoom: float
    """Panel pixels per full-resolution pixel."""

    def place(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Panel coordinates of centres in full-resolution pixels."""
        return np.asarray((xy + 0.5 - self.origin) * self.zoom - 0.5)

    def sees(self, xy: NDArray[np.float64], margin_px: float) -> NDArray[np.bool_]:
        """Which points lie on the panel, or within a margin of full-resolution pixels around it."""
        at, margin = self.place(xy), margin_px * self.zoom
        return np.asarray(((at > -margin) & (at < np.array(self.image.shape[1::-1]) + margin)).all(axis=1))

    def outline(self, corners: NDArray[np.float64], colour: Colour, width: int = 2) -> None:
        """Draw closed outlines, (n, corner, 2) in full-resolution pixels."""
        points = np.rint(self.place(corners) * 16).astype(np.int32)
        cv2.polylines(self.image, list(points), True, colour, width, cv2.LINE_AA, shift=4)


def can_be_drawn(examination: Examination) -> bool:
    """Whether a section has a slide, and a scale to draw it to."""
    specimen = examination.specimen
    return specimen is not None and not isinstance(specimen.scale, str) and not isinstance(specimen.slide, str)


def draw_overlay(examination: Examination) -> Image.Image:
    """Draw a section: the whole slide with its spots (windows), library size, and two details at true size.

    Raises
    ------
    InputError
        If the section has no scale or no slide to draw on, as its checks say.
    """
    specimen = examination.specimen
    if specimen is None or isinstance(specimen.scale, str) or isinstance(specimen.slide, str):
        raise InputError(f"sample {examination.report.id!r}: there is no scale or no slide to draw it on")
    scale, slide = specimen.scale, specimen.slide
    middle, rim = _choose_details(specimen)
    what = "some of the windows on the slide" if specimen.is_hd else "spots on the slide"
    panels = [
        (what, _whole(specimen, scale, slide)),
        ("library size of each pair, counts", _library(specimen, scale, slide)),
        ("detail in the middle", _detail(specimen, scale, slide, middle)),
        ("detail at the rim", _detail(specimen, scale, slide, rim)),
    ]
    upper = panels[0][1].shape[0]
    page = Image.new("RGB", (2 * PANEL + 3 * GAP, HEAD + upper + PANEL + 2 * (TITLE + GAP)), "white")
    pen = ImageDraw.Draw(page)
    pen.text((GAP, 12), _headline(examination, specimen, scale), fill="black", font=ImageFont.load_default(24))
    _legend(pen, specimen)
    for number, (title, panel) in enumerate(panels):
        x = GAP + number % 2 * (PANEL + GAP)
        y = HEAD + number // 2 * (upper + TITLE + GAP)
        pen.text((x, y + 6), title, fill="black", font=ImageFont.load_default(20))
        page.paste(Image.fromarray(panel), (x, y + TITLE))
    _colour_bar(page, specimen.pair_counts, 2 * (PANEL + GAP), HEAD + 8)
    return page


def _headline(examination: Examination, specimen: Specimen, scale: Scale) -> str:
    # the font that Pillow brings has no µ
    parts = [f"{examination.report.id}: {scale.platform}, {scale.mpp:.4f} um per pixel ({scale.source})"]
    if specimen.lattice is not None:
        parts.append(f"turned {specimen.lattice.rotation_deg:.1f}°, {describe_flips(specimen.lattice)}")
    if examination.registration is not None and np.isfinite(examination.registration.uncertainty_um):
        dx, dy = examination.registration.shift_um
        parts.append(f"best shift ({dx:+.1f}, {dy:+.1f}) um ± {examination.registration.uncertainty_um:.1f}")
    return "; ".join(parts)


def _legend(pen: ImageDraw.ImageDraw, specimen: Specimen) -> None:
    window = f"window of {specimen.view.window_bins} bins" if specimen.is_hd else "spot"
    entries = [(SPOT, window), (PATCH, "its patch")]
    if specimen.is_hd:
        entries.append((TISSUE, "edge of the bins under tissue"))
    x = GAP
    font = ImageFont.load_default(18)
    for colour, text in entries:
        pen.rectangle((x, 46, x + 22, 60), outline=colour, width=3)
        pen.text((x + 30, 42), text, fill="black", font=font)
        x += 56 + int(pen.textlength(text, font=font))


def _whole(specimen: Specimen, scale: Scale, slide: SlideView) -> NDArray[np.uint8]:
    canvas = _overview_canvas(slide)
    if specimen.is_hd and specimen.lattice is not None:
        _draw_tissue_edge(canvas, specimen, specimen.lattice)
        rows = _apart(specimen, specimen.xy.mean(axis=0), times=3)
        canvas.outline(_window_corners(specimen, specimen.lattice, rows), SPOT, 1)
    else:
        _draw_spots(canvas, specimen, scale, np.arange(len(specimen.xy)), 2)
    return canvas.image


def _library(specimen: Specimen, scale: Scale, slide: SlideView) -> NDArray[np.uint8]:
    canvas = _overview_canvas(slide)
    grey = cv2.cvtColor(canvas.image, cv2.COLOR_RGB2GRAY)
    canvas.image[:] = (255 - (255 - grey[..., None].astype(np.float32)) * 0.35).astype(np.uint8)
    counts = specimen.pair_counts
    if not len(counts):
        return canvas.image
    low, high = _colour_range(counts)
    level = np.clip((counts - low) / max(1.0, high - low), 0, 1)
    colours = cv2.applyColorMap((level * 255).astype(np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    at = canvas.place(specimen.xy[specimen.pair_rows])
    pitch = scale.spot_um / scale.mpp
    if specimen.is_hd and specimen.lattice is not None:
        pitch = specimen.view.stride_bins * specimen.lattice.pitch_px
    radius = max(1.0, pitch * canvas.zoom / 2)
    for (x, y), colour in zip(at.tolist(), colours.tolist(), strict=True):
        if specimen.is_hd:
            corner = int(np.floor(x - radius)), int(np.floor(y - radius))
            cv2.rectangle(canvas.image, corner, (int(x + radius), int(y + radius)), colour, -1)
        else:
            centre = (round(x * 16), round(y * 16))
            cv2.circle(canvas.image, centre, round(radius * 16), colour, -1, cv2.LINE_AA, shift=4)
    return canvas.image


def _colour_range(counts: NDArray[np.int64]) -> tuple[float, float]:
    low, high = np.percentile(counts, [2, 98]) if len(counts) else (0.0, 1.0)
    return float(low), float(high)


def _colour_bar(page: Image.Image, counts: NDArray[np.int64], right: int, top: int) -> None:
    """Draw a colour bar that ends at `right`, with the library sizes at its ends."""
    pen, font, (low, high) = ImageDraw.Draw(page), ImageFont.load_default(18), _colour_range(counts)
    bar = cv2.applyColorMap(np.linspace(0, 255, 160).astype(np.uint8)[None], cv2.COLORMAP_VIRIDIS)[..., ::-1]
    pen.text((right, top - 1), f"{high:,.0f}", fill="black", font=font, anchor="ra")
    right -= int(pen.textlength(f"{high:,.0f}", font=font)) + 8
    page.paste(Image.fromarray(np.ascontiguousarray(np.repeat(bar, 16, axis=0))), (right - 160, top))
    pen.text((right - 168, top - 1), f"{low:,.0f}", fill="black", font=font, anchor="ra")


def _detail(specimen: Specimen, scale: Scale, slide: SlideView, centre: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A square of the slide around a point at full resolution, with the spots (windows) and patches in it."""
    width = DETAIL_UM / scale.mpp
    if not specimen.is_hd and specimen.lattice is not None:
        width = DETAIL_PITCHES * specimen.lattice.pitch_px
    size = max(8, round(width * slide.scale))
    top, left = (int(np.floor((value + 0.5) * slide.scale - size / 2)) for value in centre[::-1])
    edges = round(slide.height * slide.scale), round(slide.width * slide.scale)
    inner = max(0, top), min(edges[0], top + size), max(0, left), min(edges[1], left + size)
    image = np.full((size, size, 3), 255, np.uint8)
    if inner[0] < inner[1] and inner[2] < inner[3]:
        pixels = slide.read(*inner)
        image[inner[0] - top :, inner[2] - left :][: pixels.shape[0], : pixels.shape[1]] = pixels
    method = cv2.INTER_AREA if size > PANEL else cv2.INTER_CUBIC
    enlarged: Any = cv2.resize(image, (PANEL, PANEL), interpolation=method)
    canvas = _Canvas(image=enlarged, origin=np.array([left, top]) / slide.scale, zoom=PANEL / size * slide.scale)
    half = scale.spot_um / scale.mpp / 2
    if specimen.is_hd and specimen.lattice is not None:
        _draw_tissue_edge(canvas, specimen, specimen.lattice)
        rows = _apart(specimen, centre)
        canvas.outline(_window_corners(specimen, specimen.lattice, rows), SPOT)
    else:
        rows = np.arange(len(specimen.xy))
        _draw_spots(canvas, specimen, scale, rows, 2)
    seen = rows[canvas.sees(specimen.xy[rows], half)]
    square = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    canvas.outline(specimen.xy[seen, None] + square, PATCH)
    _draw_scale_bar(canvas, scale)
    return canvas.image


def _draw_scale_bar(canvas: _Canvas, scale: Scale) -> None:
    length = round(50 / scale.mpp * canvas.zoom)
    cv2.rectangle(canvas.image, (12, PANEL - 46), (36 + length, PANEL - 10), (255, 255, 255), -1)
    cv2.rectangle(canvas.image, (24, PANEL - 20), (24 + length, PANEL - 16), (0, 0, 0), -1)
    cv2.putText(canvas.image, "50 um", (24, PANEL - 26), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)


def _overview_canvas(slide: SlideView) -> _Canvas:
    height, width = slide.overview.shape[:2]
    factor = PANEL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image: Any = cv2.resize(slide.overview, size, interpolation=method)
    return _Canvas(image=image, origin=np.zeros(2), zoom=factor * slide.overview_scale)


def _draw_spots(canvas: _Canvas, specimen: Specimen, scale: Scale, rows: NDArray[np.int64], width: int) -> None:
    radius = scale.spot_um / scale.mpp / 2
    for x, y in canvas.place(specimen.xy[rows[canvas.sees(specimen.xy[rows], radius)]]).tolist():
        centre = (round(x * 16), round(y * 16))
        cv2.circle(canvas.image, centre, round(radius * canvas.zoom * 16), SPOT, width, cv2.LINE_AA, shift=4)


def _draw_tissue_edge(canvas: _Canvas, specimen: Specimen, lattice: Lattice) -> None:
    """Outline the bins under tissue: contours of their grid, laid on the slide by the lattice."""
    mask = np.pad(specimen.grid.in_tissue, 1).astype(np.uint8)
    for contour in cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]:
        if len(contour) < 3:
            continue
        col, row = contour[:, 0].astype(np.float64).T - 1
        canvas.outline(lay_out(lattice, row + specimen.grid.first_row, col + specimen.grid.first_col)[None], TISSUE)


def _apart(specimen: Specimen, near: NDArray[np.float64], times: int = 1) -> NDArray[np.int64]:
    """Centre bins of windows that do not overlap, one nearest to a point; `times` as far apart as that needs."""
    rows, view = specimen.pair_rows, specimen.view
    if not len(rows):
        return rows
    step = -(-view.window_bins // view.stride_bins) * view.stride_bins * times
    start = specimen.array[rows[np.linalg.norm(specimen.xy[rows] - near, axis=1).argmin()]]
    return np.asarray(rows[((specimen.array[rows] - start) % step == 0).all(axis=1)])


def _window_corners(specimen: Specimen, lattice: Lattice, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 4, 2) corners of the windows around centre bins, in full-resolution pixels."""
    half = specimen.view.window_bins / 2
    row, col = specimen.array[rows].T[..., None] + half * np.array([[[-1, -1, 1, 1]], [[-1, 1, 1, -1]]])
    return lay_out(lattice, row, col)


def _choose_details(specimen: Specimen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A pair in the middle of the section and one at its rim; spots where there are no pairs."""
    rows = specimen.pair_rows if len(specimen.pair_rows) else np.arange(len(specimen.xy))
    xy = specimen.xy[rows]
    distance = np.linalg.norm(xy - np.median(xy, axis=0), axis=1)
    return xy[distance.argmin()], xy[distance.argmax()]
