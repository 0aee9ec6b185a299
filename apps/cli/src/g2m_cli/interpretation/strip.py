"""The strip of pictures of a perturbation: the real patch, what is drawn, and what is drawn from edited expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from g2m_data import PairedDataset
    from g2m_interpret import Edit, Simulator

FILE = "strip.npz"
_PICTURED = 4


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Pictures of some spots."""

    spots: NDArray[np.str_]
    real: NDArray[np.uint8]
    unperturbed: NDArray[np.uint8]
    perturbed: NDArray[np.uint8]
    """(spot, edit, height, width, 3)."""
    edits: NDArray[np.str_]

    @classmethod
    def load(cls, path: Path) -> Strip:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})

    def save(self, path: Path) -> None:
        """Write the pictures, a few hundred kilobytes."""
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in fields(self)})


def draw_strip(
    simulator: Simulator,
    spots: PairedDataset,
    rows: NDArray[np.int64],
    expression: NDArray[np.float32],
    edits: Sequence[Edit],
    keys: NDArray[np.int64],
) -> Strip:
    """Draw a few of the spots, evenly chosen, with the first of their noises.

    Parameters
    ----------
    simulator
        Draws.
    spots, rows
        Test sections, and which of their spots the rest is aligned with.
    expression
        In the simulator's order of genes.
    edits
        A column each.
    keys
        Noise of each spot.
    """
    from g2m_interpret import edit_expression

    shown = np.unique(np.linspace(0, len(rows) - 1, min(_PICTURED, len(rows))).round().astype(int))
    first, own = keys[shown, :1], expression[shown]
    drawn = [simulator.draw(edit_expression(own, simulator.genes, edit), first)[:, 0] for edit in edits]
    return Strip(
        spots=spots.obs.index[rows[shown]].to_numpy().astype(str),
        real=spots.patches(rows[shown]),
        unperturbed=simulator.draw(own, first)[:, 0],
        perturbed=np.stack(drawn, axis=1),
        edits=np.array([edit.name for edit in edits]),
    )
