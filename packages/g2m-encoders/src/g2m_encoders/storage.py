"""A model's folder: model.safetensors, config.json, genes.txt and README.md (the model card)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from g2m_encoders.backbones import BackboneRecord, open_backbone, rebuild_backbone
from g2m_encoders.config import EncoderSettings, settings_from_dict, settings_to_dict
from g2m_encoders.errors import InputError
from g2m_encoders.model import ContrastiveModel
from g2m_encoders.replaced_folder import replaced_folder

FORMAT = "g2m-encoders/1"


def hash_genes(genes: Sequence[str]) -> str:
    """SHA-256 of the panel, one gene a line, order included."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()


def save_model(model: ContrastiveModel, directory: Path, provenance: Mapping[str, Any]) -> None:
    """Write a model's folder in one stroke, in the place of an earlier model if there is one.

    The weights of a frozen pretrained backbone are left out: the folder names them (id, revision, hash), because their
    licence may forbid copies. Those of a trained or randomly initialised backbone are part of the model. Folder and
    files may be read by whom the user's umask allows.

    Raises
    ------
    InputError
        If `directory` holds anything but an earlier model, or the model is one of expression alone.
    """
    model.require_image()
    if (
        directory.exists()
        and not (directory / "config.json").is_file()
        and (not directory.is_dir() or any(directory.iterdir()))
    ):
        raise InputError(f"{directory} exists and is not an encoder model; choose another folder")
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    config = {
        "format": FORMAT,
        "settings": settings_to_dict(model.settings),
        "backbone": dataclasses.asdict(model.backbone_record),
        "genes": {"count": len(model.genes), "sha256": hash_genes(model.genes)},
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
        "provenance": dict(provenance),
    }
    with replaced_folder(directory) as folder:
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(state, folder / "model.safetensors")
        (folder / "genes.txt").write_text("".join(f"{gene}\n" for gene in model.genes))
        (folder / "README.md").write_text(write_card(model))


def load_model(directory: Path, *, backbone: str | Path | None = None, image: bool = True) -> ContrastiveModel:
    """See `ContrastiveModel.from_pretrained`."""
    config, genes, state = _read_files(directory, image=image)
    settings = settings_from_dict(config["settings"])
    record = BackboneRecord(**config["backbone"])
    network = _load_network(directory, settings, record, backbone) if image else None
    model = ContrastiveModel(settings, genes, network, record)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{directory}: model.safetensors does not fit config.json; export or copy the model again"
        ) from error
    return model.eval()


def _load_network(
    directory: Path, settings: EncoderSettings, record: BackboneRecord, backbone: str | Path | None
) -> nn.Module:
    """The image backbone: with its weights where the model only names them, otherwise for the model's to be loaded."""
    if not record.is_referenced(frozen=settings.image.frozen):
        return rebuild_backbone(record)
    network, found = open_backbone(backbone or _address(record))
    if found.sha256 != record.sha256:
        raise InputError(
            f"{directory}: backbone {found.name!r} has other weights (sha256 {str(found.sha256)[:12]}…) "
            f"than the model was trained with ({str(record.sha256)[:12]}…); give the original's folder or revision"
        )
    return network


def _address(record: BackboneRecord) -> str:
    if record.revision is None or "@" in record.name:
        return record.name
    return f"{record.name}@{record.revision}"


def _read_files(directory: Path, *, image: bool) -> tuple[dict[str, Any], list[str], dict[str, torch.Tensor]]:
    for name in ("config.json", "genes.txt", "model.safetensors"):
        if not (directory / name).is_file():
            raise InputError(
                f"{directory} is not an encoder model: {name} is missing; give the folder that training exported"
            )
    try:
        config = json.loads((directory / "config.json").read_text())
    except json.JSONDecodeError as error:
        raise InputError(
            f"{directory / 'config.json'} is not valid JSON ({error}); export or copy the model again"
        ) from error
    if config.get("format") != FORMAT:
        raise InputError(
            f"{directory / 'config.json'}: format is {config.get('format')!r}, this version reads {FORMAT!r}"
        )
    genes = (directory / "genes.txt").read_text().splitlines()
    if hash_genes(genes) != config["genes"]["sha256"]:
        raise InputError(
            f"{directory / 'genes.txt'} is not the panel the model was trained with; restore the original file"
        )
    try:
        with safe_open(directory / "model.safetensors", framework="pt") as file:
            names = [name for name in file.keys() if image or not name.startswith("image.")]  # noqa: SIM118 - no mapping
            state = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{directory / 'model.safetensors'} is damaged ({error}); export or copy the model again"
        ) from error
    return config, genes, state


def _list(numbers: tuple[float, ...] | None) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers or ())


def write_card(model: ContrastiveModel) -> str:
    """The model card: what it is, what it stands on, under which licence, how to load it."""
    record, settings = model.backbone_record, model.settings
    licence = record.licence or (
        "not stated by its publisher" if record.pretrained else "none needed: trained from random weights"
    )
    included = "referenced, not included" if record.is_referenced(frozen=settings.image.frozen) else "included"
    front = f"license: {record.licence}\n" if record.licence else ""
    return f"""---
{front}library_name: g2m-encoders
tags: [spatial-transcriptomics, histology, contrastive]
---
# Contrastive encoders of gene expression and histology

An expression encoder over {len(model.genes)} genes (`genes.txt`, in this order) and an image encoder, both to
{settings.embedding_dim} dimensions of unit norm.

| | |
|---|---|
| image backbone | `{record.name}` (timm `{record.architecture}`) |
| backbone revision | {record.revision or "–"} |
| backbone licence | {licence} |
| backbone weights | {included}, sha256 before training {record.sha256 or "–"} |
| image input | {settings.image.input_size} px, RGB in [-1, 1] |
| normalised for the backbone by | mean {_list(settings.image.mean)}, std {_list(settings.image.std)} of RGB in [0, 1] |
| temperature | {float(model.temperature.detach()):.4g} |

Where the backbone's licence restricts use, it restricts this model's too. Settings and provenance are in `config.json`.

```python
from g2m_encoders import ContrastiveModel

model = ContrastiveModel.from_pretrained("path/to/this/folder")
```
"""
