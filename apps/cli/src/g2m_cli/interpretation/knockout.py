"""The knockout that `g2m run` shows of a real study: the genes by which its largest cluster is known."""

from __future__ import annotations

import json
from pathlib import Path

from g2m_cli.interpretation.attribution import attribution_folder
from g2m_cli.interpretation.attribution_page import GENES
from g2m_cli.interpretation.clusters import JOINT
from g2m_cli.interpretation.perturbation_request import PerturbationRequest
from g2m_cli.study import Study, folder_id

_TOP_GENES = 20


def knockout_folder(study: Study) -> Path:
    """Where it lies."""
    return study.root / "interpret" / "perturbations" / "knockout"


def knockout_request(study: Study, *, model: str, limit: int) -> PerturbationRequest:
    """Ask for spots of the largest joint cluster without the genes that tell it from the next largest.

    Parameters
    ----------
    study
        Whose ``interpret/attribution`` compares joint clusters.
    model
        Run of the generator.
    limit
        Spots at most.
    """
    import pandas as pd

    folder = attribution_folder(study)
    sizes = json.loads((folder / "metrics.json").read_text())["attribution"]["clusters"]
    query, reference = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    genes = pd.read_csv(folder / GENES, dtype={"query": str, "reference": str})
    own = genes[(genes["query"] == query) & (genes["reference"] == reference)].sort_values("rank")
    chosen = own.loc[own["score"] > 0, "gene"].head(_TOP_GENES)
    return PerturbationRequest(
        model=model,
        genes=tuple(chosen),
        label=f"the {len(chosen)} genes that tell {query} from {reference} best",
        folds=(0.0,),
        where={JOINT: query},
        limit=limit,
        attribution=folder_id(folder),
    )
