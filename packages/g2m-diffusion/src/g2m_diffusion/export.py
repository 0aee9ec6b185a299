"""A trained model as a folder in diffusers' layout, complete or absent."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from g2m_diffusion.config import DiffusionSettings
from g2m_diffusion.pipeline import ExpressionDiffusionPipeline
from g2m_diffusion.replaced_folder import replaced_folder

SETTINGS, CARD = "settings.json", "README.md"


def save_pipeline(
    pipeline: ExpressionDiffusionPipeline,
    directory: str | Path,
    settings: DiffusionSettings,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a pipeline, what it was trained with and a model card; the folder appears complete or not at all.

    Parameters
    ----------
    directory
        Replaced if it is there.
    settings
        What the model was trained with, kept as settings.json.
    provenance
        Anything JSON can hold about where the weights come from.
    """
    with replaced_folder(Path(directory)) as folder:
        pipeline.save_pretrained(folder, safe_serialization=True)
        record = {"settings": dataclasses.asdict(settings), "provenance": dict(provenance or {})}
        (folder / SETTINGS).write_text(json.dumps(record, indent=2, default=str) + "\n")
        (folder / CARD).write_text(_model_card(pipeline, settings, record["provenance"]))


def _model_card(
    pipeline: ExpressionDiffusionPipeline, settings: DiffusionSettings, provenance: Mapping[str, Any]
) -> str:
    parameters = sum(weight.numel() for weight in pipeline.unet.parameters())
    lines = ["---", "library_name: diffusers"]
    source = settings.denoiser.pretrained
    if source:
        # a fine-tuned model keeps its parent's licence
        lines += [f"base_model: {source}"]
        # the name of SD's licence where it can be told; a local copy's is that of whatever it was copied from
        lines += ["license: creativeml-openrail-m" if "stable-diffusion-v1" in source else "license: other"]
    where = f"latents of {settings.codes.autoencoder}" if settings.codes.autoencoder else "pixels"
    revision = f" (revision {settings.denoiser.revision or 'newest at the time'})" if source else ""
    lines += [
        "tags: [histology, spatial-transcriptomics, diffusion]",
        "---",
        "",
        "# Tissue from gene expression",
        "",
        f"Draws {pipeline.resolution} x {pipeline.resolution} px histology patches from "
        f"{pipeline.condition_dim}-dimensional expression embeddings; target {settings.objective.target} in {where}; "
        f"U-Net of {parameters / 1e6:.2f} M parameters, "
        + (f"fine-tuned from {source}{revision}." if source else "trained from scratch."),
        "It only understands embeddings of the expression encoder it was trained with. Not for diagnosis.",
        "",
        "```python",
        "from g2m_diffusion import ExpressionDiffusionPipeline",
        "",
        'pipeline = ExpressionDiffusionPipeline.from_pretrained("this folder")',
        "images = pipeline(embeddings, guidance_scale=[1, 3]).images  # (n, dim) -> for each strength, n images",
        "```",
    ]
    if provenance:
        lines += ["", "## Provenance", "", "```json", json.dumps(provenance, indent=2, default=str), "```"]
    return "\n".join(lines) + "\n"
