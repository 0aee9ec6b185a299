"""Where an artefact came from: resolved settings, seed, versions and the ids of its parents."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "g2m-data", "g2m-encoders", "g2m-gan", "g2m-diffusion", "g2m-eval", "g2m-interpret", "g2m-cli",
    "torch", "diffusers", "numpy", "anndata",
)  # fmt: skip
FILE = "provenance.json"


def fingerprint(value: Any) -> str:
    """Hash plain data to 16 hexadecimal digits; equal data, equal fingerprint."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def provenance(kind: str, settings: Mapping[str, Any], parents: Mapping[str, str | None]) -> dict[str, Any]:
    """Describe an artefact.

    Parameters
    ----------
    kind
        What it is: ``encoders``, ``embeddings``, ``gan``, …
    settings
        The resolved settings that made it, seed included.
    parents
        Name and id of every artefact it was made from.

    Returns
    -------
    ``id`` depends on kind, settings and parents alone, so that an unchanged request is recognised; versions and
    time are recorded beside it.
    """
    request = {"kind": kind, "settings": json.loads(json.dumps(settings, default=str)), "parents": dict(parents)}
    return {
        "id": fingerprint(request),
        **request,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
    }


def known_to_differ(one: str | None, other: str | None) -> bool:
    """Whether two ids are both known and not the same."""
    return None not in (one, other) and one != other


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """Read a folder's provenance; ``None`` where there is none (yet)."""
    try:
        record: dict[str, Any] = json.loads((folder / FILE).read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return record
