"""The clusters that an interpretation compares: found ones of space.h5ad, or a phantom's true regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.errors import InputError
from g2m_cli.study import Study, embeddings_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_data import PairedDataset

REGION, JOINT, SAMPLEWISE = "region", "joint", "samplewise"
KINDS = (REGION, JOINT, SAMPLEWISE)


def kind_of_clusters(study: Study, wanted: str | None) -> str:
    """Give the clusters asked for, by an option or by the settings: else true regions of a phantom, or joint clusters.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if not wanted:
        return REGION if (study.dataset / "truth").is_dir() else JOINT
    if wanted not in KINDS:
        raise InputError(f"--clusters {wanted}: expected {', '.join(KINDS)}")
    return wanted


@dataclass(frozen=True, kw_only=True)
class FoundClusters:
    """Clusters that were found in a study's embeddings."""

    id: str
    """What they were found in, and how."""
    obs: pd.DataFrame
    """Of space.h5ad: by spot, ``cluster_joint`` and ``cluster_samplewise``."""


def labels_of(study: Study, spots: PairedDataset, kind: str, found: FoundClusters | None = None) -> NDArray[np.str_]:
    """Label each spot with its cluster; "" where it has none, or where its window holds more than one region.

    Parameters
    ----------
    study
        Whose truth, or embeddings.
    spots
        Test sections.
    kind
        Of `KINDS`.
    found
        Of `read_clusters`, or fresh; not needed for true regions.

    Raises
    ------
    InputError
        If there is no truth, or a spot has no cluster.
    """
    from g2m_eval.space import keys

    if kind == REGION:
        return _true_regions(study, spots)
    clusters = found or read_clusters(study)
    rows = clusters.obs.index.get_indexer(spots.obs.index)
    if (rows < 0).any():
        raise InputError(
            f"the clusters found lack {(rows < 0).sum()} of {len(rows)} test spots; {_again(study)} once more"
        )
    column = clusters.obs[{JOINT: keys.JOINT, SAMPLEWISE: keys.SAMPLEWISE}[kind]].iloc[rows]
    return np.where(column.isna(), "", column.astype(str)).astype(str)


def read_clusters(study: Study) -> FoundClusters:
    """Read the clusters that `g2m eval space` found, or else those of the study's report.

    Raises
    ------
    InputError
        If there is no space.h5ad of these embeddings, or it cannot be read.
    """
    import h5py
    from anndata.io import read_elem

    path = next(
        (file for folder in ("space", "report") if (file := study.root / folder / "space.h5ad").is_file()), None
    )
    if path is None:
        raise InputError(f"{study.root / 'space' / 'space.h5ad'}: no such file; {_again(study)}")
    try:
        with h5py.File(path) as file:
            obs, made = read_elem(file["obs"]), read_elem(file["uns/provenance"])
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: not a readable space.h5ad ({str(error).splitlines()[0]}); {_again(study)} again"
        ) from None
    if made["parents"]["embeddings"] != embeddings_id(study.embeddings):
        raise InputError(
            f"{path}: its clusters were found in other embeddings than the study's; {_again(study)} once more"
        )
    return FoundClusters(id=str(made["id"]), obs=obs)


def clusters_parent(study: Study, *wheres: Mapping[str, str]) -> dict[str, str]:
    """Give the id of the found clusters as provenance has it, if spots are chosen by them.

    Raises
    ------
    InputError
        If they are needed and cannot be read.
    """
    return {"clusters": read_clusters(study).id} if any(map(by_found_clusters, wheres)) else {}


def by_found_clusters(where: Mapping[str, str]) -> bool:
    """Whether spots are chosen by clusters that were found, so that a result depends on them."""
    return JOINT in where or SAMPLEWISE in where


def _again(study: Study) -> str:
    return f"run `g2m eval space {study.root}`"


def _true_regions(study: Study, spots: PairedDataset) -> NDArray[np.str_]:
    from g2m_eval.evaluate import PURITY

    truth = spots.truth()
    if truth is None:
        raise InputError(
            f"{study.dataset}: true regions are known of a phantom only; take clusters that were found: joint or "
            "samplewise"
        )
    pure = (truth["purity"] >= PURITY).to_numpy()
    return np.where(pure, truth["region"].astype(str).to_numpy(), "").astype(str)
