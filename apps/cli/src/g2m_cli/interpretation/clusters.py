"""The clusters that an interpretation compares: found ones of space.h5ad, or a phantom's true regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.errors import InputError
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study, embeddings_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_data import PairedDataset

REGION, JOINT, SAMPLEWISE = "region", "joint", "samplewise"
KINDS = (REGION, JOINT, SAMPLEWISE)


def kind_of_clusters(study: Study, wanted: str | None) -> str:
    """Give the clusters asked for: by default the true regions of a phantom, else those of all sections jointly.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if wanted is None:
        return REGION if (study.dataset / "truth").is_dir() else JOINT
    if wanted not in KINDS:
        raise InputError(f"--clusters {wanted}: expected {', '.join(KINDS)}")
    return wanted


def labels_of(study: Study, spots: PairedDataset, kind: str) -> NDArray[np.str_]:
    """Label each spot with its cluster; "" where it has none, or where its window holds more than one region.

    Parameters
    ----------
    study
        Whose ``space/space.h5ad`` holds the clusters that were found.
    spots
        Test sections.
    kind
        Of `KINDS`.

    Raises
    ------
    InputError
        If there is no truth, or no space.h5ad of these embeddings and spots.
    """
    return _true_regions(study, spots) if kind == REGION else _found_clusters(study, spots, kind)


def space_folder(study: Study) -> Path:
    """Where `g2m eval space` writes."""
    return study.root / "space"


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


def _found_clusters(study: Study, spots: PairedDataset, kind: str) -> NDArray[np.str_]:
    from g2m_eval.space import keys

    folder = space_folder(study)
    again = f"run `g2m eval space {study.root}`"
    found = _read_obs(folder / "space.h5ad", again)
    made_from = (read_provenance(folder) or {}).get("parents", {}).get("embeddings")
    if made_from != embeddings_id(study.embeddings):
        raise InputError(f"{folder}: its clusters were found in other embeddings than the study's; {again} once more")
    rows = found.index.get_indexer(spots.obs.index)
    if (rows < 0).any():
        raise InputError(f"{folder}: lacks {(rows < 0).sum()} of {len(rows)} test spots; {again} once more")
    column = found[{JOINT: keys.JOINT, SAMPLEWISE: keys.SAMPLEWISE}[kind]].iloc[rows]
    return np.where(column.isna(), "", column.astype(str)).astype(str)


def _read_obs(path: Path, again: str) -> pd.DataFrame:
    import h5py
    from anndata.io import read_elem

    if not path.is_file():
        raise InputError(f"{path}: no such file; {again}")
    try:
        with h5py.File(path) as file:
            table: pd.DataFrame = read_elem(file["obs"])
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a readable .h5ad file ({str(error).splitlines()[0]}); {again} again") from None
    return table
