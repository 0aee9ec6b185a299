"""What is asked of a screen: which genes or sets are ranked, by what, where, and how many are redrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.console import say
from g2m_cli.errors import InputError
from g2m_cli.interpretation.attribution_page import slug
from g2m_cli.provenance import fingerprint
from g2m_cli.study import Study

if TYPE_CHECKING:
    from g2m_interpret import Edit

ALL = "all"
SETS = 20
"""Gene sets that are redrawn unless told otherwise: each has random sets of its own beside it."""


@dataclass(frozen=True, kw_only=True)
class ScreenRequest:
    """One screen."""

    model: str
    """Run of the generator."""
    statistic: str
    where: Mapping[str, str]
    """All must hold of a spot, as in a perturbation."""
    fold: float = 0.0
    """0 is a knockout."""
    top: int
    """So many of the highest rank are redrawn."""
    limit: int = 40
    """Spots at most, drawn at random."""
    genes: tuple[str, ...] | None = None
    """Those to rank; all of the panel by default."""
    sets: Mapping[str, tuple[str, ...]] | None = None
    """Gene sets to rank in place of genes, of genes of the panel."""
    source: str = ALL
    """Name of the file that named the genes or sets."""

    @property
    def name(self) -> str:
        """Of its folder."""
        edit = "knockout" if self.fold == 0 else f"x{self.fold:g}".replace(".", "_")
        source = [] if self.source == ALL else [Path(self.source).stem]
        where = [part for key, value in sorted(self.where.items()) for part in (key, value)]
        return slug("-".join([self.statistic, edit, *source, *where, self.model]))

    @property
    def what(self) -> str:
        """Gene or gene set."""
        return "gene" if self.sets is None else "gene set"

    @property
    def described(self) -> dict[str, Any]:
        """What is recorded of it: 18,000 genes as a fingerprint."""
        record = {key: value for key, value in vars(self).items() if key not in ("genes", "sets")}
        return {**record, "ranked": fingerprint([self.genes, self.sets])}

    def edit(self, name: str, *, renormalise: bool) -> Edit:
        """Give the edit of one gene or set."""
        from g2m_interpret import Edit

        members = (name,) if self.sets is None else self.sets[name]
        return Edit(up=members, fold=self.fold, renormalise=renormalise, label=name)


def read_source(
    study: Study, genes_from: str, gene_sets: Path | None, *, case: str, largest: int
) -> tuple[tuple[str, ...] | None, dict[str, tuple[str, ...]] | None, str]:
    """Read the genes or sets that are to be ranked: names, sets, and what they come from.

    Raises
    ------
    InputError
        If a file cannot be read, or the panel has none of its genes.
    """
    from g2m_data import open_dataset

    if gene_sets is None and genes_from == ALL:
        return None, None, ALL
    panel = open_dataset(study.dataset, split="test").genes
    if gene_sets is not None:
        return None, _read_sets(gene_sets, panel, case=case, largest=min(largest, len(panel) // 2)), gene_sets.name
    return _read_genes(Path(genes_from), panel), None, Path(genes_from).name


def _read_genes(path: Path, panel: Sequence[str]) -> tuple[str, ...]:
    """Read symbols, one a line; those that the panel lacks are told and left out."""
    try:
        named = tuple(dict.fromkeys(path.read_text(encoding="utf-8").split()))
    except (OSError, UnicodeDecodeError):
        raise InputError(f"--genes-from {path}: expected {ALL}, or a text file with a symbol on each line") from None
    found = tuple(gene for gene in named if gene in set(panel))
    if not found:
        raise InputError(f"{path}: none of its {len(named)} symbols is in the panel of {len(panel)} genes")
    if len(found) < len(named):
        say(f"{len(found)} of the {len(named)} genes of {path.name} are in the panel")
    return found


def _read_sets(path: Path, panel: Sequence[str], *, case: str, largest: int) -> dict[str, tuple[str, ...]]:
    """Read a GMT file's sets, of genes that the panel has; what is dropped is told."""
    from g2m_interpret import match_gene_sets, read_gmt

    sets, match = match_gene_sets(read_gmt(path), panel, case=case, max_size=largest)
    say(f"{match.sets_kept} of {match.sets_read} sets of {path.name} have 1 to {largest} genes of the panel")
    return dict(sets)
