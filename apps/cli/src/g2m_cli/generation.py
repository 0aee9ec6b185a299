"""generated/<name>/: images.zarr (uint8 n, height, width, 3) and index.parquet (spot, seed, settings)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import progress
from g2m_cli.device import AUTO, allow_tf32, device_name, resolve_precision
from g2m_cli.embeddings import model_id, read_embeddings
from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent, write_json
from g2m_cli.order import mix
from g2m_cli.provenance import FILE, provenance, read_provenance
from g2m_cli.study import embeddings_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_cli.generators import Generator

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which images are wanted: one for every spot and seed."""

    split: str | None = "test"
    seeds: tuple[int, ...] = (0,)
    shuffle_conditions: bool = False
    shared_noise: bool = False
    truncation: float = 1.0
    """Of StyleGAN-G."""
    guidance: float = 1.0
    """Of diffusion: strength w; 1 is none."""
    steps: int | None = None
    """Of diffusion: evaluations of the denoiser; as many as the model was exported with by default."""
    limit: int | None = None


def generate(
    model_folder: Path, embeddings_file: Path, wanted: Mapping[Path, Request], *, precision: str = AUTO
) -> list[Path]:
    """Draw the tissue of spots from their embeddings with an exported generator.

    Images are written as they are drawn, in bounded memory.

    Parameters
    ----------
    model_folder
        An exported model, of any kind.
    embeddings_file
        Its conditions.
    wanted
        Folders to write, and what each is to hold; each is complete or absent. ``shuffle_conditions`` gives every spot
        another spot's condition: the floor that fidelity is measured from. ``shared_noise`` draws all spots of one
        seed from the same noise (the columns of the paper's Figure 2).
    precision
        As `resolve_precision` takes it; recorded beside the images, whose id does not depend on it.

    Returns
    -------
    The folders.

    Raises
    ------
    InputError
        If a folder exists, there is no such spot, or the model is none, wants other embeddings or cannot do what is
        asked.
    """
    from g2m_cli.generators import open_generator

    precision = resolve_precision(precision)
    allow_tf32()
    generator = open_generator(model_folder, precision)
    embeddings = read_embeddings(embeddings_file)
    conditions = np.asarray(embeddings.X, np.float32)
    if conditions.shape[1] != generator.condition_dim:
        raise InputError(
            f"{embeddings_file}: embeddings of {conditions.shape[1]} dimensions, but {model_folder} was trained on "
            f"{generator.condition_dim}; embed with the encoders it was trained on"
        )
    for request in wanted.values():
        generator.check(request)
    plans = {out: Drawing.plan(embeddings.obs, request, embeddings_file) for out, request in wanted.items()}
    with ExitStack() as stack:
        partials = {out: stack.enter_context(complete_or_absent(out)) for out in wanted}
        advance = stack.enter_context(progress("drawing", sum(len(plan) for plan in plans.values())))
        for out, plan in plans.items():
            partials[out].mkdir()
            timing = plan.draw(generator, conditions, partials[out] / "images.zarr", advance)
            plan.index(embeddings.obs).to_parquet(partials[out] / "index.parquet")
            record = generated_record(model_folder, embeddings_file, plan.request)
            write_json(partials[out] / FILE, {**record, "precision": precision, "timing": timing})
    return list(wanted)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The images of one request, one an entry: its spot, the spot whose expression prompts it, its seed, its noise."""

    request: Request
    spots: NDArray[np.int64]
    prompts: NDArray[np.int64]
    seeds: NDArray[np.int64]
    keys: NDArray[np.int64]

    @classmethod
    def plan(cls, obs: pd.DataFrame, request: Request, source: Path) -> Drawing:
        """Decide what is drawn; the noise depends on spot and seed alone, so that other models draw from the same."""
        rows = chosen_rows(obs, request, source)
        prompts = rows
        if request.shuffle_conditions:
            prompts = rows[np.random.default_rng(0).permutation(len(rows))]
        spots, seeds = np.repeat(rows, len(request.seeds)), np.tile(request.seeds, len(rows))
        noise_of = np.zeros_like(spots) if request.shared_noise else spots
        keys = mix(noise_of.astype(np.uint64) * np.uint64(1 << 20) + seeds.astype(np.uint64), seed=0)
        return cls(request=request, spots=spots, prompts=np.repeat(prompts, len(request.seeds)), seeds=seeds, keys=keys)

    def __len__(self) -> int:
        return len(self.spots)

    def draw(
        self,
        generator: Generator,
        conditions: NDArray[np.float32],
        out: Path,
        advance: Callable[[float, str], None],
    ) -> dict[str, Any]:
        """Write the images, a batch at a time, and say how long drawing took: neither loading nor writing."""
        import zarr

        side, seconds = generator.resolution, 0.0
        images = zarr.create_array(out, shape=(len(self), side, side, 3), chunks=(_BATCH, side, side, 3), dtype="uint8")
        for start in range(0, len(self), _BATCH):
            here = slice(start, start + _BATCH)
            began = time.perf_counter()
            drawn = generator.draw(conditions[self.prompts[here]], self.keys[here], self.request)
            seconds += time.perf_counter() - began
            images[here] = drawn
            advance(len(drawn), "")
        return {
            "images": len(self),
            "seconds": round(seconds, 3),
            "seconds_per_1000_images": round(1000 * seconds / len(self), 3),
            "device": device_name(),
        }

    def index(self, obs: pd.DataFrame) -> pd.DataFrame:
        """Describe each image: its spot, the spot whose expression prompted it, its seed, its section."""
        import pandas as pd

        names = obs.index.to_numpy().astype(str)
        return pd.DataFrame(
            {
                "spot": names[self.spots],
                "prompt": names[self.prompts],
                "seed": self.seeds,
                "sample": obs["sample"].to_numpy().astype(str)[self.spots],
            }
        )


def parse_guidance(text: str) -> tuple[float, ...]:
    """Read guidance strengths, "1,3,7".

    Raises
    ------
    InputError
        If they are not finite numbers from 0.
    """
    try:
        strengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        strengths = (math.nan,)
    if not all(0 <= strength < math.inf for strength in strengths):
        raise InputError(f"--guidance {text}: expected numbers from 0 separated by commas, for example 1,3,7")
    return strengths


def strength_name(name: str, strength: float) -> str:
    """Name the images of a generator at one guidance strength: ``tissue-w1``, ``sd-w7.5``."""
    return f"{name}-w{strength:g}"


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

    images = open_images(folder)
    return np.asarray(images[:]), pd.read_parquet(folder / "index.parquet"), read_provenance(folder) or {}


def open_images(folder: Path) -> Any:
    """Open generated images without reading them, as a zarr array.

    Raises
    ------
    InputError
        If the folder does not hold generated images.
    """
    import zarr

    if read_provenance(folder) is None or not (folder / "images.zarr").is_dir():
        raise InputError(
            f"{folder}: no generated images here; `g2m gan generate` or `g2m diffusion generate` writes them"
        )
    return zarr.open_array(folder / "images.zarr", mode="r")


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
