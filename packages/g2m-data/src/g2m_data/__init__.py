"""Space Ranger folders to a paired dataset of expression windows and image patches."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g2m_data.build import build_dataset
    from g2m_data.dataset import DatasetDescription, PairedDataset, describe_dataset, open_dataset
    from g2m_data.errors import InputError
    from g2m_data.export import export_sample
    from g2m_data.manifest import Manifest, View, read_manifest
    from g2m_data.patches import read_patches
    from g2m_data.provenance import study_id
    from g2m_data.simulate import simulate_study

__all__ = [
    "DatasetDescription",
    "InputError",
    "Manifest",
    "PairedDataset",
    "View",
    "build_dataset",
    "describe_dataset",
    "export_sample",
    "open_dataset",
    "read_manifest",
    "read_patches",
    "simulate_study",
    "study_id",
]

_HOME = {
    "DatasetDescription": "dataset",
    "InputError": "errors",
    "Manifest": "manifest",
    "PairedDataset": "dataset",
    "View": "manifest",
    "build_dataset": "build",
    "describe_dataset": "dataset",
    "export_sample": "export",
    "open_dataset": "dataset",
    "read_manifest": "manifest",
    "read_patches": "patches",
    "simulate_study": "simulate",
    "study_id": "provenance",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
