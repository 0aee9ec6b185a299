"""What a dataset was made from."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from g2m_data.errors import InputError
from g2m_data.manifest import Manifest, read_manifest
from g2m_data.spaceranger.layout import find_layout

FORMAT = 1
"""Version of the dataset's layout on disk."""


def input_files(manifest: Manifest) -> dict[str, list[Path]]:
    """Every file a build reads, by sample id; the study's own (gene list, truth) under the empty id."""
    files: dict[str, list[Path]] = {"": [] if manifest.gene_file is None else [manifest.gene_file]}
    if manifest.truth_folder is not None:
        files[""] += sorted(path for path in manifest.truth_folder.iterdir() if path.is_file())
    for sample in manifest.samples:
        layout = find_layout(sample.spaceranger, sample.platform, sample.prefix)
        files[sample.id] = [*layout.files, sample.image]
    return files


def hash_inputs(files: Mapping[str, Sequence[Path]]) -> dict[str, list[dict[str, Any]]]:
    """Name, size and SHA-256 of every input file."""
    return {
        sample: [{"file": path.name, "bytes": path.stat().st_size, "sha256": _hash_file(path)} for path in paths]
        for sample, paths in files.items()
    }


def resolve_settings(manifest: Manifest) -> dict[str, Any]:
    """The manifest with every default filled in; of paths only the last part, so that a study may be moved."""
    content = asdict(manifest)
    del content["path"]
    del content["study"]["gene_sets"]  # no pair depends on them
    content["view"] = manifest.view.settings
    for sample in content["samples"]:
        sample["spaceranger"], sample["image"] = sample["spaceranger"].name, sample["image"].name
        if sample["prefix"] is None:  # a later setting: the ids of earlier studies stay
            del sample["prefix"]
    return content


def make_id(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """A dataset's id: the same exactly when settings, input files and software are the same."""
    content = {"format": FORMAT, "version": software()["g2m-data"], "settings": settings, "inputs": inputs}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def study_id(manifest: Path) -> str:
    """The id of the dataset that this manifest would build now; where `dataset.json` has it, there is nothing to do."""
    study = read_manifest(manifest)
    return make_id(resolve_settings(study), hash_inputs(input_files(study)))


def software() -> dict[str, str]:
    """Versions that may change a dataset."""
    versions = {"python": platform.python_version()}
    for name in ("g2m-data", "anndata", "imagecodecs", "numpy", "opencv-python-headless", "scipy", "tifffile", "zarr"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
