"""Bring a section's genes into a model's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2m_encoders.errors import InputError

MINIMUM_SHARE = 0.95  # of a model's panel that a section must have, unless its user says otherwise


@dataclass(frozen=True, kw_only=True)
class GeneAlignment:
    """Where each gene of a model's panel is found among a section's genes."""

    source: NDArray[np.int64]  # (panel,), the position among the section's genes, -1 = missing
    missing: list[str]  # the panel's genes that the section lacks, in the panel's order
    panel_share: float  # share of the panel that was found
    counts_share: (
        float | None
    )  # the found genes' share of the counts usual in training; None if the model does not know

    def apply(self, expression: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reorder (n, gene) into (n, panel), missing genes 0."""
        found = self.source >= 0
        if found.all() and np.array_equal(self.source, np.arange(expression.shape[1])):
            return np.ascontiguousarray(expression, dtype=np.float32)
        aligned = np.zeros((len(expression), len(self.source)), dtype=np.float32)
        aligned[:, found] = expression[:, self.source[found]]
        return aligned

    def describe(self) -> str:
        """One line for a log."""
        counts = "" if self.counts_share is None else f", which usually hold {self.counts_share:.1%} of its counts"
        found = len(self.source) - len(self.missing)
        return f"{found} of the model's {len(self.source)} genes found ({self.panel_share:.1%}){counts}"


def align_genes(
    panel: Sequence[str],
    genes: Sequence[str],
    *,
    usual_counts: NDArray[np.floating] | None = None,
    minimum_share: float = MINIMUM_SHARE,
) -> GeneAlignment:
    """Match a section's genes to a panel by name, letter case included.

    Parameters
    ----------
    panel
        The model's genes, in its order.
    genes
        The section's, in any order; more than the panel holds are ignored.
    usual_counts
        Mean normalised count of each panel gene in training.
    minimum_share
        Share of the panel that must be found; 0 allows anything.

    Raises
    ------
    InputError
        If too little of the panel is found, or a panel gene occurs twice in `genes`.
    """
    place: dict[str, int] = {}
    wanted = set(panel)
    for position, gene in enumerate(genes):
        if gene in place and gene in wanted:
            raise InputError(f"gene {gene!r} occurs twice among the section's genes; make gene names unique")
        place.setdefault(gene, position)
    source = np.array([place.get(gene, -1) for gene in panel], dtype=np.int64)
    found = source >= 0
    share = float(found.mean()) if len(panel) else 0.0
    total = float(np.sum(usual_counts)) if usual_counts is not None else 0.0
    counts_share = float(np.sum(usual_counts[found]) / total) if usual_counts is not None and total > 0 else None
    alignment = GeneAlignment(
        source=source,
        missing=[gene for gene, present in zip(panel, found, strict=True) if not present],
        panel_share=share,
        counts_share=counts_share,
    )
    if share < minimum_share:
        raise InputError(
            f"only {alignment.describe()}, e.g. {alignment.missing[0]!r} is missing; "
            f"at least {minimum_share:.0%} is needed: use the gene symbols the model was "
            "trained with, or allow a smaller share explicitly (minimum_share)"
        )
    return alignment
