"""generated/<name>/: images.zarr (uint8 n, height, width, 3) and index.parquet (spot, seed, settings)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.embeddings import model_id, read_embeddings
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent, write_json
from g2m_cli.provenance import FILE, provenance, read_provenance
from g2m_cli.study import embeddings_id

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which images are wanted: one for every spot and seed."""

    split: str | None = "test"
    seeds: tuple[int, ...] = (0,)
    shuffle_conditions: bool = False
    shared_noise: bool = False
    truncation: float = 1.0
    limit: int | None = None


def generate(model_folder: Path, embeddings_file: Path, out: Path, request: Request) -> Path:
    """Draw the tissue of spots from their embeddings with an exported StyleGAN-G.

    Images are written as they are drawn, in bounded memory.

    Parameters
    ----------
    model_folder
        An exported model.
    embeddings_file
        Its conditions.
    out
        Folder to write.
    request
        Which spots, which seeds. ``shuffle_conditions`` gives every spot another spot's condition: the floor that
        fidelity is measured from. ``shared_noise`` draws all spots of one seed from the same noise (the columns of the
        paper's Figure 2).

    Raises
    ------
    InputError
        If there is no such spot, or the model wants other embeddings.
    """
    import torch
    import zarr

    from g2m_cli.console import progress
    from g2m_cli.order import mix
    from g2m_gan import StyleGanG

    model = StyleGanG.from_pretrained(model_folder)
    embeddings = read_embeddings(embeddings_file)
    rows = chosen_rows(embeddings.obs, request, embeddings_file)
    conditions = np.asarray(embeddings.X, np.float32)
    if conditions.shape[1] != model.generator.condition_dim:
        raise InputError(
            f"{embeddings_file}: embeddings of {conditions.shape[1]} dimensions, but {model_folder} was trained on "
            f"{model.generator.condition_dim}; embed with the encoders it was trained on"
        )
    prompts = rows
    if request.shuffle_conditions:
        prompts = rows[np.random.default_rng(0).permutation(len(rows))]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device).eval()
    spots, seeds = np.repeat(rows, len(request.seeds)), np.tile(request.seeds, len(rows))
    prompts = np.repeat(prompts, len(request.seeds))
    noise_of = np.zeros_like(spots) if request.shared_noise else spots
    keys = mix(noise_of.astype(np.uint64) * np.uint64(1 << 20) + seeds.astype(np.uint64), seed=0)
    record = generated_record(model_folder, embeddings_file, request)
    with complete_or_absent(out) as partial, progress("drawing", len(spots)) as advance:
        partial.mkdir()
        images = None
        for start in range(0, len(spots), _BATCH):
            here = slice(start, start + _BATCH)
            drawn = model.generate(
                torch.from_numpy(conditions[prompts[here]]).to(device),
                torch.from_numpy(keys[here]),
                truncation=request.truncation,
            )
            array = drawn.permute(0, 2, 3, 1).cpu().numpy()
            if images is None:
                shape = (len(spots), *array.shape[1:])
                images = zarr.create_array(
                    partial / "images.zarr", shape=shape, chunks=(_BATCH, *shape[1:]), dtype="uint8"
                )
            images[here] = array
            advance(len(array), "")
        index = index_of(embeddings.obs, spots, prompts, seeds)
        index.to_parquet(partial / "index.parquet")
        write_json(partial / FILE, record)
    return out


def generated_record(model_folder: Path, embeddings_file: Path, request: Request) -> dict[str, Any]:
    """Describe the images that this model, these conditions and this request give."""
    parents = {"model": model_id(model_folder), "embeddings": embeddings_id(embeddings_file)}
    return provenance("generated", asdict(request), parents)


def read_generated(folder: Path) -> tuple[NDArray[np.uint8], pd.DataFrame, dict[str, Any]]:
    """Read generated images (n, height, width, 3), their index and their provenance.

    Raises
    ------
    InputError
        If the folder does not hold generated images.
    """
    import pandas as pd
    import zarr

    record = read_provenance(folder)
    if record is None or not (folder / "images.zarr").is_dir():
        raise InputError(f"{folder}: no generated images here; `g2m gan generate` writes them")
    images: Any = zarr.open_array(folder / "images.zarr", mode="r")
    return np.asarray(images[:]), pd.read_parquet(folder / "index.parquet"), record


def chosen_rows(obs: pd.DataFrame, request: Request, source: Path) -> NDArray[np.int64]:
    """Give the rows of the spots asked for.

    Raises
    ------
    InputError
        If there is none.
    """
    rows = np.arange(len(obs))
    if request.split is not None:
        rows = np.flatnonzero((obs["split"] == request.split).to_numpy())
    if not len(rows):
        there = ", ".join(sorted(map(str, obs["split"].unique())))
        raise InputError(f"{source}: no spot of split {request.split!r}; there are: {there}")
    if request.limit is not None and request.limit < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, request.limit, replace=False))
    return rows


def index_of(
    obs: pd.DataFrame, spots: NDArray[np.int64], prompts: NDArray[np.int64], seeds: NDArray[np.int64]
) -> pd.DataFrame:
    """Describe each image: its spot, the spot whose expression prompted it, its seed."""
    import pandas as pd

    names = obs.index.to_numpy().astype(str)
    return pd.DataFrame(
        {
            "spot": names[spots],
            "prompt": names[prompts],
            "seed": seeds,
            "sample": obs["sample"].to_numpy().astype(str)[spots],
        }
    )
