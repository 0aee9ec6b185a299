"""Figures made of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from g2m_eval.errors import InputError
from g2m_eval.figures.style import GENERATED, REAL, bare, drawing, styled


def figure_generated(
    reference: UInt8[np.ndarray, "row height width 3"],
    generated: UInt8[np.ndarray, "spot noise h w 3"],
    labels: Sequence[str],
    *,
    patch_um: float | None = None,
) -> Figure:
    """The real patch of each spot, then what was generated from its expression (paper, Figure 2).

    Parameters
    ----------
    reference
        Real patch of each spot, leftmost.
    generated
        Rows are spots, columns noise vectors: within a row only the noise differs.
    labels
        A line or two about each spot (section, region).
    patch_um
        Width of a patch, for a scale bar.

    Raises
    ------
    InputError
        The three differ in their number of spots, or there is none.
    """
    spots, noises = generated.shape[:2]
    if not len(reference) == spots == len(labels) or spots == 0:
        raise InputError(
            f"each spot needs a patch, generated ones and a label: {len(reference)}, {spots}, {len(labels)}"
        )
    with drawing():
        cell = 0.92
        figure = styled(1.5 + cell * (noises + 1.15), cell * spots + 0.42)
        figure.set_layout_engine("none")
        width, height = figure.get_size_inches()
        grid = GridSpec(
            spots, noises + 2, figure=figure, width_ratios=[1, 0.12] + [1] * noises, wspace=0.05, hspace=0.05,
            left=1.4 / width, right=1 - 0.08 / width, top=1 - 0.34 / height, bottom=0.08 / height,
        )  # fmt: skip
        for row in range(spots):
            first = figure.add_subplot(grid[row, 0])
            bare(first)
            first.imshow(reference[row], interpolation="nearest")
            first.set_ylabel(_wrap(labels[row]), rotation=0, ha="right", va="center", labelpad=6)
            for column in range(noises):
                axes = figure.add_subplot(grid[row, column + 2])
                bare(axes)
                axes.imshow(generated[row, column], interpolation="nearest")
                if row == 0:
                    title = f"noise {column + 1}" if noises > 1 else "generated"
                    axes.set_title(title, fontsize=8.5, color=GENERATED, fontweight="normal")
            if row == 0:
                first.set_title("real", fontsize=8.5, color=REAL, loc="center", fontweight="bold")
        if patch_um is not None:
            _scale_bar(figure, figure.axes[-noises - 1], patch_um)
    return figure


def figure_rows(rows: Mapping[str, UInt8[np.ndarray, "_ _ _ 3"]], *, patch_um: float | None = None) -> Figure:
    """Patches side by side, a row for each section or generator (paper, Figure C.1).

    Parameters
    ----------
    rows
        By label, of a line or two, the patches to show; rows may differ in their number and size of patches. Labels
        that begin with "generated" stand apart in colour.
    patch_um
        Width of a patch, for a scale bar.

    Raises
    ------
    InputError
        There is no row, or one without a patch.
    """
    if not rows or not all(len(patches) for patches in rows.values()):
        raise InputError(f"a figure of patches needs some in every row, got {[len(p) for p in rows.values()]}")
    across = max(len(patches) for patches in rows.values())
    with drawing():
        cell = 0.92
        figure = styled(1.5 + cell * across, cell * len(rows) + 0.16)
        figure.set_layout_engine("none")
        width, height = figure.get_size_inches()
        grid = GridSpec(
            len(rows), across, figure=figure, wspace=0.05, hspace=0.05,
            left=1.4 / width, right=1 - 0.08 / width, top=1 - 0.08 / height, bottom=0.08 / height,
        )  # fmt: skip
        for row, (label, patches) in enumerate(rows.items()):
            colour = GENERATED if label.startswith("generated") else REAL
            for column, patch in enumerate(patches):
                axes = figure.add_subplot(grid[row, column])
                bare(axes)
                axes.imshow(patch, interpolation="nearest")
                if column == 0:
                    axes.set_ylabel(_wrap(label), rotation=0, ha="right", va="center", labelpad=6, color=colour)
        if patch_um is not None:
            _scale_bar(figure, figure.axes[0], patch_um)
    return figure


def figure_by_region(
    real: UInt8[np.ndarray, "n_real height width 3"],
    generated: UInt8[np.ndarray, "n h w 3"],
    regions: Sequence[str],
    *,
    per_region: int = 6,
    order: Sequence[str] | None = None,
    seed: int = 0,
) -> Figure:
    """Real and generated patches of the same spots, a row for each region.

    Spots are drawn at random with ``seed``, never chosen by eye; the k-th real and the k-th generated patch of a row
    belong to the same spot.

    Raises
    ------
    InputError
        The three differ in length, or are empty.
    """
    if not len(real) == len(generated) == len(regions) or len(real) == 0:
        raise InputError(
            f"one real, one generated patch and one region a spot: {len(real)}, {len(generated)}, {len(regions)}"
        )
    labels = np.asarray(regions, dtype=str)
    names = [name for name in (order or sorted(set(labels.tolist()))) if (labels == name).any()]
    generator = np.random.default_rng(seed)
    with drawing():
        cell = 0.8
        figure = styled(1.5 + cell * (2 * per_region + 0.3), cell * len(names) + 0.42)
        figure.set_layout_engine("none")
        width, height = figure.get_size_inches()
        grid = GridSpec(
            len(names), 2 * per_region + 1, figure=figure, width_ratios=[1] * per_region + [0.25] + [1] * per_region,
            wspace=0.05, hspace=0.05,
            left=1.4 / width, right=1 - 0.08 / width, top=1 - 0.34 / height, bottom=0.08 / height,
        )  # fmt: skip
        for row, name in enumerate(names):
            members = np.flatnonzero(labels == name)
            chosen = generator.choice(members, min(per_region, len(members)), replace=False)
            for side, (images, offset) in enumerate(((real, 0), (generated, per_region + 1))):
                for column in range(per_region):
                    axes = figure.add_subplot(grid[row, offset + column])
                    bare(axes)
                    if column < len(chosen):
                        axes.imshow(images[chosen[column]], interpolation="nearest")
                    if column == 0 and side == 0:
                        axes.set_ylabel(_wrap(name), rotation=0, ha="right", va="center", labelpad=6)
                    if row == 0 and column == 0:
                        title, colour = (("real", REAL), ("generated for the same spots", GENERATED))[side]
                        axes.set_title(title, loc="left", fontsize=9, color=colour)
    return figure


def _wrap(label: str) -> str:
    """Break a label into lines that fit beside a patch; a line break in the label is kept."""
    return "\n".join(part for line in str(label).split("\n") for part in wrap(line.replace("_", " "), 20, max_lines=3))


def _scale_bar(figure: Figure, axes: Axes, patch_um: float) -> None:
    length_um = max(u for u in (1, 2, 5, 10, 20, 50, 100) if u <= patch_um / 2.5) if patch_um >= 2.5 else 1
    box = axes.get_position()
    length = box.width * length_um / patch_um
    y = box.y0 + 0.1 * box.height
    x = box.x0 + 0.07 * box.width
    figure.add_artist(Line2D([x, x + length], [y, y], color="black", linewidth=2.2, solid_capstyle="butt"))
    figure.text(x, y + 0.04 * box.height, f"{length_um} µm", fontsize=6.5, color="black", va="bottom")
