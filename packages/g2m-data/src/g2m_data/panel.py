"""The gene panel: which genes a dataset has, in one fixed order."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from g2m_data.errors import InputError
from g2m_data.spaceranger.features import Features

MINIMAL_SHARE = 0.95
"""Share of a given panel that a section must list; what it lacks beyond that is filled with zeros."""


def read_gene_file(path: Path) -> list[str]:
    """Read a panel: one symbol per line, in the order to keep; empty lines and lines that start with # are skipped."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a gene list ({error})") from None
    genes = [line for line in lines if line and not line.startswith("#")]
    if not genes:
        raise InputError(f"{path}: lists no genes")
    if len(set(genes)) != len(genes):
        twice = next(gene for index, gene in enumerate(genes) if gene in genes[:index])
        raise InputError(f"{path}: lists {twice} twice")
    return genes


def common_genes(genes_of: Mapping[Path, Sequence[str]]) -> list[str]:
    """Genes that all sections list, in the order of the first section.

    Parameters
    ----------
    genes_of
        Each section's symbols, by the file they come from.

    Raises
    ------
    InputError
        If the sections share nearly nothing, as when one lists symbols and another Ensembl ids.
    """
    files = list(genes_of)
    shared = set(genes_of[files[0]]).intersection(*(genes_of[file] for file in files[1:]))
    smallest = min(files, key=lambda file: len(genes_of[file]))
    if len(shared) < 0.1 * len(genes_of[smallest]):
        raise InputError(
            f"{files[0]}: shares only {len(shared)} of its genes with all other sections; "
            "are they of one species, and all named by symbol?"
        )
    return [gene for gene in genes_of[files[0]] if gene in shared]


def ambiguous_genes(features_of: Mapping[Path, Features]) -> list[str]:
    """Repeated symbols that are not the same gene everywhere, sorted.

    Which gene of a symbol is `SYMBOL` and which `SYMBOL-1` follows from a matrix's own order, so that in a section that
    lacks the first, the second has its name. Their Ensembl ids tell (versions of them aside).
    """
    repeated = set[str]().union(*(features.repeated for features in features_of.values()))
    ids: dict[str, set[str]] = {gene: set() for gene in repeated}
    for features in features_of.values():
        for gene, gene_id in zip(features.genes, features.ids, strict=True):
            if gene in ids:
                ids[gene].add(gene_id.partition(".")[0])
    return sorted(gene for gene, found in ids.items() if len(found) > 1)


def choose_panel(gene_file: Path | None, features_of: Mapping[Path, Features]) -> tuple[list[str], list[str]]:
    """The panel of a study, and what is to be said about it.

    Parameters
    ----------
    gene_file
        The panel if it is given; without it, it is the genes that all sections share and mean the same by.
    features_of
        Each section's genes, by the file they come from.

    Raises
    ------
    InputError
        If the file cannot be read, or the sections share nearly nothing.
    """
    ambiguous = ambiguous_genes(features_of)
    if gene_file is None:
        common = common_genes({matrix: features.genes for matrix, features in features_of.items()})
        panel = [gene for gene in common if gene not in set(ambiguous)]
        left, consequence = [gene for gene in common if gene in set(ambiguous)], "and were left out"
    else:
        panel = read_gene_file(gene_file)
        left, consequence = [gene for gene in ambiguous if gene in set(panel)], "but are in the list of genes"
    if not left:
        return panel, []
    return panel, [f"{len(left)} repeated symbols are another gene in another section {consequence}: {', '.join(left)}"]


def check_panel(panel: Sequence[str], listed: Sequence[str], source: Path, matrix: Path) -> None:
    """Refuse a section that lists less than 95 % of a given panel.

    Parameters
    ----------
    panel
        The panel, read from `source`.
    listed
        The symbols that `matrix` lists.
    """
    known = set(listed)
    missing = [gene for gene in panel if gene not in known]
    if len(missing) > (1 - MINIMAL_SHARE) * len(panel):
        raise InputError(
            f"{matrix}: lacks {len(missing)} of the {len(panel)} genes in {source} ({', '.join(missing[:3])}, …); "
            f'at least {MINIMAL_SHARE:.0%} must be there: shorten the list, or set genes = "common"'
        )


def hash_genes(genes: Sequence[str]) -> str:
    """A panel's name: SHA-256 of its symbols in their order, one per line."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()
