"""The generators of a study by name: what was drawn, by which run, and how a reader is told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from g2m_cli.console import say
from g2m_cli.errors import InputError
from g2m_cli.metrics_log import FILE as METRICS
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study, embeddings_id, folder_id
from g2m_cli.study_settings import GENERATORS

_MANY = re.compile(r"-x\d+(-n\d+)?$")  # of `g2m eval images`: several images a spot
_COMPANIONS = ("-shuffled", "-figure")  # of every generator's images: from permuted conditions, and for Figure 2


def drawn_models(study: Study) -> list[str]:
    """Find the names below ``generated/`` that a report can be made of.

    Each needs ``<name>-shuffled`` and ``<name>-figure`` beside it, and its model and the embeddings as they are now: of
    what is left out, the reason is told.

    Raises
    ------
    InputError
        If there is none.
    """
    names = []
    for folder in sorted(study.generated("").glob("*/")):
        if family_of(folder.name) not in GENERATORS or folder.name.endswith(_COMPANIONS) or _MANY.search(folder.name):
            continue
        absent = [name for name in with_companions(folder.name) if read_provenance(study.generated(name)) is None]
        parents = (read_provenance(folder) or {}).get("parents", {})
        now = {
            "model": folder_id(study.run(family_of(folder.name))),
            "embeddings": embeddings_id(study.embeddings),
        }
        if absent:
            say(f"{folder}: left out of the report, {absent[0]} is missing")
        elif parents != now:
            say(f"{folder}: left out of the report, it was drawn by another model or from other embeddings")
        else:
            names.append(folder.name)
    if not names:
        raise InputError(f"{study.generated('')}: no images of the study's models; `g2m run` draws them")
    return sorted(names, key=lambda name: GENERATORS.index(family_of(name)))


def family_of(name: str) -> str:
    """Give the run that drew: ``tissue`` of ``tissue-w1``."""
    return name.rpartition("-w")[0] or name


def label_of(name: str) -> str:
    """Name a generator to a reader: ``StyleGAN-G``, ``tissue (w = 1)``."""
    family, separator, strength = name.rpartition("-w")
    if separator:
        return f"{family} (w = {strength})"
    return "StyleGAN-G" if name == "gan" else name


def file_name(name: str) -> str:
    """Make a name fit for a figure's file: ``sd-w7.5`` has a dot too many."""
    return name.replace(".", "_")


def runs_behind(study: Study, models: Sequence[str]) -> list[str]:
    """Name the runs that led to these models: encoders, the autoencoder if one was used, generators."""
    families = list(dict.fromkeys(family_of(name) for name in models))
    parents = [(read_provenance(study.run(family)) or {}).get("parents", {}) for family in families]
    autoencoder = folder_id(study.run("vae"))
    used = autoencoder is not None and any(parent.get("autoencoder") == autoencoder for parent in parents)
    names = ["encoders", *(["vae"] if used else []), *families]
    return [name for name in names if (study.run(name) / METRICS).is_file()]


def with_companions(name: str) -> tuple[str, ...]:
    """Name a generator's images and those that the report shows beside them."""
    return (name, *(name + companion for companion in _COMPANIONS))
