"""Create a reader study: choose images evenly, hide what tells them apart, keep the key apart."""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from sklearn.cluster import KMeans

from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Patches
from g2m_eval.reader_study.layout import CHOICES, IMAGES, KEY, LINKS, STUDY
from g2m_eval.reader_study.levels import clip_levels, common_levels
from g2m_eval.reader_study.png import plain_png
from g2m_eval.resize import resize_patches

INSTRUCTIONS = (
    "You will see {images} small images of H&E-stained tissue, one at a time. Some are photographs of tissue sections; "
    "some were drawn by a computer program. For each image, say which you think it is. If you cannot tell, choose what "
    "seems more likely.\n\n"
    "There is no time limit. You may go back and change an answer, close the page, and return to it by the same link "
    "on any device. Please do not discuss the images with other readers before everyone has finished."
)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Images a study may draw from, of one kind.

    Attributes
    ----------
    images
        uint8 (n, height, width, 3), only sliced: of an array on disk nothing but the chosen images is read.
    groups
        Morphological group of each, the same labels for real and generated ones.
    spots
        Spot of each: the one photographed, or the one whose expression it was drawn from.
    """

    images: Patches
    groups: Sequence[str]
    spots: Sequence[str]


def create_study(
    folder: Path,
    *,
    real: Candidates,
    generated: Candidates,
    model: str,
    n_images: int = 50,
    readers: int = 10,
    seed: int = 0,
    title: str = "Real or generated?",
    instructions: str = INSTRUCTIONS,
    width_um: float | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write a study's folder; it appears complete or not at all. See `ReaderStudy` for what it holds.

    Half of the images are real. Both halves are spread evenly over the groups, and no spot is in both.

    Hidden: names (random), file length and encoding (see `plain_png`), size in pixels (the larger kind is
    area-averaged to the smaller), metadata, order (independent for each reader), and how often pixels are as dark or
    as bright as can be: all images are clipped to grey levels that both kinds reach (see `common_levels`; the key
    tells which). Not hidden, because it is in the pixels: what the slide's own JPEG compression and the averaging
    left in real patches, a generator's texture, stain and contrast. A program that measures these can still tell
    many images apart; the study asks what eyes can. Where the kinds differ in size, the averaged kind may look
    smoother; generate at the patches' own size if that matters.

    Names, orders and links come from the operating system's randomness and not from the seed: who knows the seed and
    this program could otherwise tell names apart.

    Parameters
    ----------
    folder
        Must not exist.
    real, generated
        What to draw from.
    model
        Name of the generator, for the key.
    n_images
        Images in all, even.
    readers
        Private links to make.
    seed
        Of the choice of images.
    title, instructions
        What readers see first; ``{images}`` becomes their number, empty lines separate paragraphs.
    width_um
        Width of every image's tissue, shown below it.
    provenance
        Kept in the key.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        The folder cannot be made there, or there are too few images.
    """
    folder = Path(folder)
    check_new_folder(folder)
    if readers < 1:
        raise InputError(f"a reader study needs at least one reader, got {readers}")
    chosen = choose_images(real, generated, n_images, seed)
    pools = {"real": real, "generated": generated}
    pixels = min(*real.images.shape[1:3], *generated.images.shape[1:3])
    names = [secrets.token_hex(8) for _ in range(n_images)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        patches = [np.asarray(pools[kind].images[slice(row, row + 1)]) for kind, row in chosen]
        resized = np.concatenate([resize_patches(patch, pixels) for patch in patches])
        levels = common_levels(resized, np.array([kind == "generated" for kind, _ in chosen]))
        (building / IMAGES).mkdir()
        for name, image in zip(names, clip_levels(resized, levels), strict=True):
            (building / IMAGES / f"{name}.png").write_bytes(plain_png(image))
        people = [f"reader-{number:02d}" for number in range(1, readers + 1)]
        random = secrets.SystemRandom()
        study = {
            "title": title,
            "instructions": instructions.replace("{images}", str(n_images)),
            "width_um": width_um,
            "orders": {person: random.sample(sorted(names), n_images) for person in people},
        }
        key = {
            "model": model,
            "seed": seed,
            "pixels": pixels,
            "levels": dict(zip(("red", "green", "blue"), levels, strict=True)),
            "provenance": dict(provenance or {}),
            "images": {
                name: {
                    "truth": kind,
                    "spot": str(pools[kind].spots[row]),
                    "group": str(pools[kind].groups[row]),
                }
                for name, (kind, row) in sorted(zip(names, chosen, strict=True))
            },
        }
        _write_json(building / STUDY, study)
        _write_json(building / KEY, key)
        with (building / LINKS).open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["reader", "token"])
            rows.writerows([person, secrets.token_urlsafe(18)] for person in people)
        for private in (KEY, LINKS):
            (building / private).chmod(0o600)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return folder


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that no study can be written to, so that long work can ask before it begins.

    Raises
    ------
    InputError
        It exists, lies below a file, or may not be made.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists already: name another folder for the reader study")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "you may not write there" if above.is_dir() else "it is a file"
        raise InputError(f"{folder} cannot be made below {above}: {why}; name another folder for the reader study")


def choose_images(real: Candidates, generated: Candidates, n_images: int, seed: int) -> list[tuple[str, int]]:
    """Choose as many real as generated images, evenly over the groups, each of a spot of its own.

    Groups take turns, in an order drawn anew for every round, and give one image of each kind; one that has run out
    leaves its turns to the others. A kind that has spots of its own takes no more of those that the other has, too,
    once the other needs all that is left: a study that is possible is never refused.

    Returns
    -------
    Kind ("real", "generated") and row of each, in no telling order.

    Raises
    ------
    InputError
        The number is odd, the seed negative, labels and images differ in number, or there are too few images.
    """
    if seed < 0:
        raise InputError(f"the seed of a reader study must be 0 or more, got {seed}")
    if n_images < 2 or n_images % 2:
        raise InputError(f"a balanced reader study needs an even number of images, got {n_images}")
    generator = np.random.default_rng(seed)
    pools = dict(zip(CHOICES, (real, generated), strict=True))
    waiting: dict[tuple[str, str], list[int]] = {}
    for kind, pool in pools.items():
        if not pool.images.shape[0] == len(pool.groups) == len(pool.spots):
            raise InputError(f"{kind} images need a group and a spot each, got {pool.images.shape[0]} images, "
                             f"{len(pool.groups)} groups, {len(pool.spots)} spots")  # fmt: skip
        for row in generator.permutation(pool.images.shape[0]):
            waiting.setdefault((kind, str(pool.groups[row])), []).append(int(row))
    groups = sorted({group for _, group in waiting})
    chosen: list[tuple[str, int]] = []
    left = dict.fromkeys(CHOICES, n_images // 2)
    unused = {kind: {str(spot) for spot in pool.spots} for kind, pool in pools.items()}
    if (short := -_spare(left, unused)) > 0:
        kind = min(unused, key=lambda name: len(unused[name]))
        raise InputError(f"too few {kind} images of different spots for a reader study of {n_images}: "
                         f"{short} are missing; ask for fewer images")  # fmt: skip
    while any(left.values()):
        for group in generator.permutation(groups):
            for kind in generator.permutation(CHOICES):
                row = _next_row(str(kind), waiting.get((kind, group), []), pools[kind].spots, left, unused)
                if row is not None:
                    chosen.append((str(kind), row))
    return [chosen[place] for place in generator.permutation(len(chosen))]


def _next_row(
    kind: str, rows: list[int], spots: Sequence[str], left: dict[str, int], unused: dict[str, set[str]]
) -> int | None:
    """Take the group's next row whose spot is unused and not needed by the other kind; None if there is no such."""
    if not left[kind]:
        return None
    other = next(name for name in unused if name != kind)
    shared = _spare(left, unused) > 0 or left[kind] > len(unused[kind] - unused[other])
    while rows:
        row = rows.pop()  # also those passed over: a spot once used, or needed, remains so
        spot = str(spots[row])
        if spot in unused[kind] and (shared or spot not in unused[other]):
            for spots_left in unused.values():
                spots_left.discard(spot)
            left[kind] -= 1
            return row
    return None


def _spare(left: Mapping[str, int], unused: Mapping[str, set[str]]) -> int:
    """Spots of both kinds that are not needed for what is left to choose; negative where some are missing."""
    both = set.intersection(*unused.values())
    return len(both) - sum(max(0, left[kind] - len(spots - both)) for kind, spots in unused.items())


def morphological_clusters(features: pd.DataFrame, k: int, *, seed: int = 0) -> Int[np.ndarray, " n"]:
    """Group patches by what they look like: k-means of standardised columns, NaN at the column's median.

    Parameters
    ----------
    features
        One row a patch, such as `image_statistics`.
    k
        Groups to find.

    Raises
    ------
    InputError
        There are fewer patches than groups.
    """
    if not 1 <= k <= len(features):
        raise InputError(f"cannot group {len(features)} patches into {k} clusters")
    values = features.fillna(features.median()).fillna(0.0).to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    standardised = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(KMeans(k, n_init=10, random_state=seed).fit_predict(standardised), dtype=np.int64)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
