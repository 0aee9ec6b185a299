"""The knockout that `g2m run` shows of a real study: the genes by which its largest cluster is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from g2m_cli.interpretation.attribution import attribution_folder
from g2m_cli.interpretation.attribution_page import GENES, SAMPLE
from g2m_cli.interpretation.clusters import JOINT, SAMPLEWISE
from g2m_cli.interpretation.perturbation_request import PerturbationRequest
from g2m_cli.study import Study, folder_id

_TOP_GENES = 20


def knockout_folder(study: Study) -> Path:
    """Where it lies."""
    return study.root / "interpret" / "perturbations" / "knockout"


def knockout_request(study: Study, *, model: str, limit: int) -> PerturbationRequest:
    """Ask for spots of the largest cluster without the genes that tell it from the next largest.

    Parameters
    ----------
    study
        Whose ``interpret/attribution`` compares joint clusters, or each section's own: then both are of one section.
    model
        Run of the generator.
    limit
        Spots at most.
    """
    import pandas as pd

    folder = attribution_folder(study)
    metrics = json.loads((folder / "metrics.json").read_text())["attribution"]
    genes = pd.read_csv(folder / GENES, dtype={SAMPLE: str, "query": str, "reference": str})
    where, reference = _two_largest(metrics["clusters"], metrics.get("clusters_of_sections"))
    query = where.get(JOINT) or where[SAMPLEWISE]
    of_pair = (genes["query"] == query) & (genes["reference"] == reference)
    if SAMPLE in where:
        of_pair &= genes[SAMPLE] == where[SAMPLE]
    own = genes[of_pair].sort_values("rank")
    chosen = own.loc[own["score"] > 0, "gene"].head(_TOP_GENES)
    return PerturbationRequest(
        model=model,
        genes=tuple(chosen),
        label=f"the {len(chosen)} genes that tell {query} from {reference} best",
        folds=(0.0,),
        where=where,
        limit=limit,
        attribution=folder_id(folder),
    )


def _two_largest(
    joint: Mapping[str, int], of_sections: Mapping[str, Mapping[str, int]] | None
) -> tuple[dict[str, str], str]:
    """Say which spots are in the largest cluster, and name the next largest."""

    def ordered(sizes: Mapping[str, int]) -> list[str]:
        return sorted(sizes, key=lambda name: (-sizes[name], name))

    if of_sections is None:
        query, reference = ordered(joint)[:2]
        return {JOINT: query}, reference
    comparable = {section: sizes for section, sizes in of_sections.items() if len(sizes) > 1}
    section = min(comparable, key=lambda name: (-max(comparable[name].values()), name))
    query, reference = ordered(comparable[section])[:2]
    return {SAMPLEWISE: query, SAMPLE: section}, reference
