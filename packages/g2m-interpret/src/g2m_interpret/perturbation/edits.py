"""Editing expression in silico."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from g2m_interpret.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is done to a profile's counts.

    Attributes
    ----------
    up
        Genes whose counts are multiplied by `fold`.
    down
        Genes whose counts are divided by it (those that fall when a factor rises).
    fold
        0 = knockout, then without `down`.
    renormalise
        Whether counts are brought back to the profile's library size afterwards, as measuring would: all other genes
        then move a little the other way.
    label
        In tables and figures; made of genes and fold by default.
    """

    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    fold: float = 0.0
    renormalise: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if not self.up and not self.down:
            raise InputError("an edit needs at least one gene")
        twice = sorted(set(self.up) & set(self.down))
        if twice:
            raise InputError(f"gene {twice[0]} is to go up and down in one edit")
        if not 0 <= self.fold < float("inf") or (self.fold == 0 and self.down):
            raise InputError(f"fold {self.fold}: expected a number of at least 0, and above it where genes are divided")

    @property
    def name(self) -> str:
        """The label, or genes and fold."""
        genes = [*self.up, *self.down]
        shown = ",".join(genes[:3]) + (f" and {len(genes) - 3} more" if len(genes) > 3 else "")
        return self.label or f"{shown} {'knocked out' if self.fold == 0 else f'x {self.fold:g}'}"


def edit_expression(
    expression: Float[np.ndarray, "n gene"], genes: Sequence[str], edit: Edit
) -> Float[np.ndarray, "n gene"]:
    """Apply an edit to log1p profiles, on the scale of counts.

    A fold moves nothing where a gene is not expressed.

    Raises
    ------
    InputError
        A gene is not in the panel.
    """
    position = {gene: column for column, gene in enumerate(genes)}
    _refuse_missing((*edit.up, *edit.down), position)
    counts = np.expm1(expression.astype(np.float64))
    total = counts.sum(axis=1, keepdims=True)
    counts[:, [position[gene] for gene in edit.up]] *= edit.fold
    if edit.down:
        counts[:, [position[gene] for gene in edit.down]] /= edit.fold
    if edit.renormalise:
        counts *= total / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    return np.log1p(counts).astype(expression.dtype)


def _refuse_missing(wanted: Iterable[str], position: Mapping[str, int]) -> None:
    missing = [gene for gene in wanted if gene not in position]
    if missing:
        raise InputError(
            f"gene {missing[0]} is not in the panel of {len(position)} genes ({len(missing)} missing in all)"
        )


def mean_expression(expression: Float[np.ndarray, "n gene"]) -> Float[np.ndarray, " gene"]:
    """log1p of each gene's mean counts: genes are matched by counts, since those are what a fold multiplies."""
    return np.asarray(np.log1p(np.expm1(expression.astype(np.float64)).mean(axis=0)))


def matched_genes(
    mean: Float[np.ndarray, " gene"],
    genes: Sequence[str],
    targets: Iterable[str],
    *,
    sets: int,
    seed: int,
    neighbours: int = 25,
) -> list[tuple[str, ...]]:
    """Random gene sets expressed like the given one, gene by gene.

    Parameters
    ----------
    mean
        Of each gene, as `mean_expression`.
    targets
        Genes to match; none of them is drawn.
    sets
        How many.
    neighbours
        Each gene is drawn from so many nearest in mean expression, more where sets would otherwise run out.

    Raises
    ------
    InputError
        A target is not in the panel, or the panel has fewer other genes than targets.
    """
    position = {gene: column for column, gene in enumerate(genes)}
    targets = list(targets)
    _refuse_missing(targets, position)
    wanted = [position[gene] for gene in targets]
    if sets == 0:
        return []
    # ordered by expression, equal ones by name, so that the order of genes does not matter
    order = np.lexsort((np.asarray(genes, dtype=object), mean))
    others = order[~np.isin(order, wanted)]
    if len(others) < len(wanted):
        raise InputError(f"{len(wanted)} genes cannot be matched by the panel's other {len(others)}")
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(sets):
        free = np.ones(len(others), dtype=bool)
        chosen = []
        for target in wanted:
            near = np.flatnonzero(free)
            near = near[np.argsort(np.abs(mean[others[near]] - mean[target]), kind="stable")[:neighbours]]
            pick = int(generator.choice(near))
            free[pick] = False
            chosen.append(genes[int(others[pick])])
        drawn.append(tuple(chosen))
    return drawn
