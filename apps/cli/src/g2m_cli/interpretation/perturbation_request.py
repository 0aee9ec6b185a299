"""What is asked of a perturbation: which genes, how they are changed, at which spots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say
from g2m_cli.errors import InputError
from g2m_cli.interpretation.attribution_page import slug
from g2m_cli.interpretation.clusters import JOINT, REGION, SAMPLEWISE, FoundClusters, labels_of
from g2m_cli.interpretation.enrichment import study_gene_sets
from g2m_cli.provenance import fingerprint
from g2m_cli.study import Study

if TYPE_CHECKING:
    from g2m_data import PairedDataset
    from g2m_interpret import Edit

_SAMPLE = "sample"
_WHERE = (REGION, JOINT, SAMPLEWISE, _SAMPLE)


@dataclass(frozen=True, kw_only=True)
class PerturbationRequest:
    """One perturbation."""

    model: str
    """Run of the generator."""
    genes: tuple[str, ...]
    label: str
    """Of the genes: their names, or their set's."""
    folds: tuple[float, ...]
    """0 is a knockout; without any, the doses of the settings are run through."""
    where: Mapping[str, str]
    """All must hold of a spot: ``region`` (true), ``joint`` or ``samplewise`` (of `g2m eval space`), ``sample``."""
    limit: int = 40
    """Spots at most, drawn at random."""
    attribution: str | None = None
    """Id of the attributions that named the genes, if any did."""

    @property
    def name(self) -> str:
        """Of its folder; where the label leaves genes unsaid, a digest tells them from others."""
        folds = "-".join("knockout" if fold == 0 else f"x{fold:g}".replace(".", "_") for fold in self.folds)
        where = [part for key, value in sorted(self.where.items()) for part in (key, value)]
        said = ", ".join(self.genes) == self.label
        digest = [] if said else [fingerprint(sorted(self.genes))[:6]]
        return slug("-".join([self.label, *digest, folds or "doses", *where, self.model]))

    def edits(self, *, doses: Sequence[float], renormalise: bool) -> list[Edit]:
        """Give the edits that are drawn and tabulated: every fold, or the lowest and the highest dose."""
        from g2m_interpret import Edit

        folds = self.folds or (min(doses), max(doses))
        labels = ["knockout" if fold == 0 else f"x {fold:g}" for fold in folds]
        return [
            Edit(up=self.genes, fold=fold, renormalise=renormalise, label=label)
            for fold, label in zip(folds, labels, strict=True)
        ]


def parse_folds(text: str) -> tuple[float, ...]:
    """Read "0.5,2,4".

    Raises
    ------
    InputError
        If they are not different positive numbers other than 1.
    """
    try:
        folds = tuple(float(part) for part in text.split(","))
    except ValueError:
        folds = ()
    if not folds or len(set(folds)) < len(folds) or not all(0 < fold < math.inf and fold != 1 for fold in folds):
        raise InputError(f"--fold {text}: expected different positive numbers other than 1, for example 0.5,2,4")
    return folds


def parse_where(texts: Sequence[str], option: str = "--spots") -> dict[str, str]:
    """Read "region=CX" and the like.

    Raises
    ------
    InputError
        If a key is unknown or given twice.
    """
    where: dict[str, str] = {}
    for text in texts:
        key, separator, value = (part.strip() for part in text.partition("="))
        if key not in _WHERE or not separator or not value or key in where:
            raise InputError(
                f"{option} {text}: expected region=, joint=, samplewise= or sample=, each once, for example region=CX"
            )
        where[key] = value
    return where


def spoken(where: Mapping[str, str]) -> str:
    """Say which spots were asked for: "region CX and sample hd1"."""
    return " and ".join(f"{key} {value}" for key, value in where.items()) or "all test sections"


def named_genes(text: str, panel: Sequence[str]) -> tuple[str, ...]:
    """Read "Umod,Slc12a1".

    Raises
    ------
    InputError
        If a gene is not in the panel; the message names one that differs in case only.
    """
    genes = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known = {gene.upper(): gene for gene in panel}
    for gene in genes:
        if gene not in panel:
            like = known.get(gene.upper())
            raise InputError(
                f"--genes: {gene} is not in the panel of {len(panel)} genes"
                + (f"; did you mean {like}?" if like else "")
            )
    if not genes:
        raise InputError(f"--genes {text}: expected symbols separated by commas, for example Umod,Slc12a1")
    return genes


def genes_of_set(name: str, file: Path | None, study: Study, panel: Sequence[str], case: str) -> tuple[str, ...]:
    """Give the genes of one set that the panel has, in the panel's spelling; what is missing is told.

    Raises
    ------
    InputError
        If there is no such file or set, or the panel has none of its genes.
    """
    from g2m_interpret import match_gene_sets, read_gmt

    path = file or study_gene_sets(study)
    sets = read_gmt(path)
    if name not in sets:
        raise InputError(f"{path}: no set {name!r} among its {len(sets)}, {next(iter(sets))} for one")
    matched, _ = match_gene_sets({name: sets[name]}, panel, case=case, max_size=len(panel))
    if len(matched[name]) < len(sets[name]):
        say(f"{name}: {len(matched[name])} of its {len(sets[name])} genes are in the panel")
    return matched[name]


def chosen_spots(
    study: Study,
    spots: PairedDataset,
    where: Mapping[str, str],
    *,
    limit: int,
    seed: int,
    found: FoundClusters | None = None,
    option: str = "--spots",
) -> NDArray[np.int64]:
    """Give the rows of the spots of which all of ``where`` holds, at most ``limit``; ``found`` as of `labels_of`.

    Raises
    ------
    InputError
        If there is none.
    """
    kept = np.ones(len(spots), dtype=bool)
    for key, value in where.items():
        labels = spots.obs[_SAMPLE].to_numpy().astype(str) if key == _SAMPLE else labels_of(study, spots, key, found)
        if value not in labels:
            raise InputError(f"{option}: no {key} {value!r}; there are: {', '.join(sorted({*labels} - {''}))}")
        kept &= labels == value
    rows = np.flatnonzero(kept)
    if not len(rows):
        raise InputError(f"{option}: no spot is {' and '.join(f'{k}={v}' for k, v in where.items())}")
    if len(rows) > limit:
        rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    return rows.astype(np.int64)
