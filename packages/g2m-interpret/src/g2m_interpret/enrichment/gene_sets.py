"""Gene sets from a GMT file, matched to a panel by symbol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from g2m_interpret.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SetMatch:
    """What became of a file's sets when they met a panel.

    Attributes
    ----------
    case
        How symbols were matched.
    sets_read, sets_kept, sets_too_small, sets_too_large
        Counts; sizes are of the matched genes.
    genes_in_sets, genes_matched
        Different symbols of the file, and those of them that the panel has.
    genes_ranked, genes_in_no_set
        Of the panel.
    genes_sharing_a_symbol
        Panel genes beyond the first that are one symbol in upper case, and so were left out.
    """

    case: str
    sets_read: int
    sets_kept: int
    sets_too_small: int
    sets_too_large: int
    genes_in_sets: int
    genes_matched: int
    genes_ranked: int
    genes_in_no_set: int
    genes_sharing_a_symbol: int

    def to_dict(self) -> dict[str, str | int]:
        """Give what ``metrics.json`` holds."""
        return asdict(self)


def read_gmt(path: Path | str) -> dict[str, tuple[str, ...]]:
    """Read sets from a GMT file: a line each, tab-separated name, description, genes.

    Raises
    ------
    InputError
        The file is missing or not text, a line is no set, or two sets have one name.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a readable GMT file ({error}); give a local file such as MSigDB's C5 GO:CC"
        ) from error
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (part.strip() for part in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            raise InputError(
                f"{path}, line {number}: expected name, description and genes between tabs, got {line[:60]!r}"
            )
        if name in sets:
            raise InputError(f"{path}, line {number}: a second set named {name}")
        sets[name] = genes
    if not sets:
        raise InputError(f"{path}: there is no gene set in it")
    return sets


def match_gene_sets(
    sets: Mapping[str, Sequence[str]],
    genes: Sequence[str],
    *,
    case: str = "exact",
    min_size: int = 1,
    max_size: int = 500,
) -> tuple[dict[str, tuple[str, ...]], SetMatch]:
    """Sets in the panel's own symbols.

    Parameters
    ----------
    sets
        Name -> symbols.
    genes
        The panel, or the ranked genes, in the order that decides which of two genes with one symbol stands for it.
    case
        ``exact``: symbols as written. ``upper``: both in upper case, as for mouse genes (Umod) and human sets (UMOD);
        not an orthology, since a few symbols differ by more than case or mean different genes.
    min_size, max_size
        Of a set's matched genes.

    Raises
    ------
    InputError
        No set is left; the message says whether the other way to match would have found more.
    """
    spell = _SPELLINGS[case]
    own: dict[str, str] = {}
    for gene in genes:
        own.setdefault(spell(gene), gene)
    matched = {
        name: tuple(dict.fromkeys(own[spell(gene)] for gene in members if spell(gene) in own))
        for name, members in sets.items()
    }
    kept = {name: members for name, members in matched.items() if min_size <= len(members) <= max_size}
    symbols = {spell(gene) for members in sets.values() for gene in members}
    if not kept:
        upper = {gene.upper() for gene in genes}
        shared = sum(symbol in upper for symbol in {gene.upper() for gene in symbols})
        more = case == "exact" and shared > len(symbols & own.keys())
        hint = "match in upper case (case='upper')" if more else "check species and sizes"
        raise InputError(f"none of {len(sets)} sets has {min_size} to {max_size} of {len(genes)} genes: {hint}")
    covered = {gene for members in matched.values() for gene in members}
    return kept, SetMatch(
        case=case,
        sets_read=len(sets),
        sets_kept=len(kept),
        sets_too_small=sum(len(members) < min_size for members in matched.values()),
        sets_too_large=sum(len(members) > max_size for members in matched.values()),
        genes_in_sets=len(symbols),
        genes_matched=len(symbols & own.keys()),
        genes_ranked=len(genes),
        genes_in_no_set=len(set(own.values()) - covered),
        genes_sharing_a_symbol=len(genes) - len(own),
    )


_SPELLINGS: Mapping[str, Callable[[str], str]] = {"exact": str, "upper": str.upper}
