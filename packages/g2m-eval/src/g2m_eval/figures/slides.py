"""Sections with their spots on the slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from g2m_eval.errors import InputError
from g2m_eval.figures.style import bare, colour_of, drawing, styled


@dataclass(frozen=True, kw_only=True)
class SectionOverlay:
    """One section to draw.

    Attributes
    ----------
    image
        The slide, uint8 (height, width, 3); large ones are thinned for drawing.
    xy
        Spot centres, (x, y) in pixels of ``image``.
    labels
        One label a spot.
    diameter_px
        Diameter of a spot in pixels of ``image``.
    square
        Draw squares (Visium HD windows) instead of circles.
    """

    image: UInt8[np.ndarray, "height width 3"]
    xy: Float[np.ndarray, "spot 2"]
    labels: Sequence[str]
    diameter_px: float
    square: bool = False


def figure_sections(
    sections: Mapping[str, SectionOverlay],
    *,
    order: Sequence[str] | None = None,
    colours: Mapping[str, str] | None = None,
    max_pixels: int = 900,
) -> Figure:
    """Each section's slide on top, and below it its spots coloured by label; one legend for all.

    Raises
    ------
    InputError
        There is no section, or a section's labels and spots differ in number.
    """
    if not sections:
        raise InputError("a figure of sections needs at least one section")
    for name, section in sections.items():
        if len(section.xy) != len(section.labels):
            raise InputError(f"section {name!r} has {len(section.xy)} spots and {len(section.labels)} labels")
    present = sorted({str(label) for section in sections.values() for label in section.labels})
    names = [n for n in (order or present) if n in present] + [n for n in present if order and n not in order]
    palette = {**colour_of(names), **(colours or {})}
    with drawing():
        shapes = [section.image.shape for section in sections.values()]
        ratio = max(height / width for height, width, _ in shapes)
        column = 2.5
        figure = styled(column * len(sections) + 0.2, 2 * column * ratio + 0.9)
        panels = figure.subplots(2, len(sections), squeeze=False)
        for index, (name, section) in enumerate(sections.items()):
            step = max(1, int(np.ceil(max(section.image.shape[:2]) / max_pixels)))
            thinned = section.image[::step, ::step]
            extent = (-0.5, section.image.shape[1] - 0.5, section.image.shape[0] - 0.5, -0.5)
            for axes in panels[:, index]:
                bare(axes)
            panels[0, index].imshow(thinned, extent=extent)
            panels[0, index].set_title(name)
            panels[1, index].imshow(thinned, extent=extent, alpha=0.25)
            labels = np.asarray(section.labels, dtype=str)
            radius = section.diameter_px / 2
            for label in names:
                shapes_here = [
                    Rectangle((x - radius, y - radius), 2 * radius, 2 * radius)
                    if section.square
                    else Circle((x, y), radius)
                    for x, y in section.xy[labels == label]
                ]
                panels[1, index].add_collection(
                    PatchCollection(shapes_here, facecolor=palette[label], linewidths=0, alpha=0.9)
                )
        handles = [Rectangle((0, 0), 1, 1, facecolor=palette[n], label=n.replace("_", " ")) for n in names]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), max(2, 2 * len(sections))))
    return figure
