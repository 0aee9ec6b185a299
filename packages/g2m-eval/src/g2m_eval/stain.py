"""How far the hue and stain of generated patches have moved from their sections towards the training slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import ArrayLike
from skimage.color import rgb2lab

from g2m_eval.errors import InputError
from g2m_eval.fidelity.resampling import SpotResamples, interval_of
from g2m_eval.intervals import RESAMPLES, Interval
from g2m_eval.morphology import stain_densities

LEAST_DELTA_E = 2.3
"""Least distance (CIE 1976) of training and test tissue between which a position is given: a just noticeable difference
(Mahy et al. 1994)."""
_PIXELS = 16  # sampled along each side of a patch: a mean colour needs no more
_TISSUE_DENSITY = 0.22  # optical density in green; glass and lumina are paler
_WHITE = 240.0
_PERCENTILE = 1.0  # of angles that Macenko takes for the pure stains
_LAB = ("L", "a", "b")


@dataclass(frozen=True, kw_only=True)
class ColourProfile:
    """Colour of the tissue in each patch, glass and lumina left out; NaN where a patch shows no tissue.

    Attributes
    ----------
    lab
        Mean CIELAB.
    density
        Mean haematoxylin and eosin densities, in units of Macenko's reference vectors.
    vectors
        Stain vectors of all patches together (Macenko et al. 2009): haematoxylin, then eosin; unit length; NaN where
        there is no tissue.
    """

    lab: Float[np.ndarray, "n 3"]
    density: Float[np.ndarray, "n 2"]
    vectors: Float[np.ndarray, "2 3"]


def measure_colour(patches: UInt8[np.ndarray, "n height width 3"]) -> ColourProfile:
    """Measure the colour of patches; compare those of one size only, since averaging pixels changes their mean density.

    On an even grid of 16 x 16 pixels a patch.
    """
    height, width = patches.shape[1:3]
    y, x = (((np.arange(_PIXELS) + 0.5) * side / _PIXELS).astype(int) for side in (height, width))
    pixels = patches[:, y[:, None], x[None, :]].reshape(len(patches), -1, 3)
    tissue = -np.log((pixels[..., 1].astype(np.float64) + 1) / _WHITE) >= _TISSUE_DENSITY
    lab = rgb2lab(pixels)
    density = np.stack(stain_densities(pixels[:, None]), axis=-1)[:, 0]
    weight = tissue[..., None] / np.where(tissue.any(axis=1), tissue.sum(axis=1), np.nan)[:, None, None]
    return ColourProfile(
        lab=(np.asarray(lab, dtype=np.float64) * weight).sum(axis=1),
        density=(density.astype(np.float64) * weight).sum(axis=1),
        vectors=stain_vectors(pixels[tissue]),
    )


def stain_vectors(pixels: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, "2 3"]:
    """Directions of haematoxylin and eosin in optical density: extreme angles in its plane (Macenko et al. 2009)."""
    density = -np.log((pixels.astype(np.float64) + 1) / _WHITE)
    if len(density) < 3:
        return np.full((2, 3), np.nan)
    _, plane = np.linalg.eigh(np.cov(density.T))
    plane = plane[:, 1:] * np.where(plane[:, 1:].sum(axis=0) < 0, -1, 1)
    flat = density @ plane
    angle = np.arctan2(flat[:, 0], flat[:, 1])
    ends = np.percentile(angle, [_PERCENTILE, 100 - _PERCENTILE])
    vectors = np.stack([plane @ np.array([np.sin(end), np.cos(end)]) for end in ends])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors[np.argsort(-vectors[:, 0] / np.maximum(vectors[:, 1], 1e-9))])  # haematoxylin is bluer


@dataclass(frozen=True, kw_only=True)
class StainEvaluation:
    """Where generated patches lie between their sections and the training slide.

    Attributes
    ----------
    metrics
        The entry ``models.<name>.stain`` of ``metrics.json``.
    table
        One row a test section, and "all": position with its interval, and the three distances (Delta E).
    lab
        Mean CIELAB: rows "training", then "test" and "generated" for each section; columns set, section, L, a, b.
    note
        Why there is no position; empty where there is one.
    """

    metrics: dict[str, Any]
    table: pd.DataFrame
    lab: pd.DataFrame
    note: str


def evaluate_stain(
    *,
    train: ColourProfile,
    test: ColourProfile,
    generated: ColourProfile,
    samples: ArrayLike,
    spots: Int[np.ndarray, " owners"] | None = None,
    times: int = RESAMPLES,
    seed: int = 0,
) -> StainEvaluation:
    """Place generated patches on the line from the test sections (0) to the training slide (1).

    The position is the projection of (generated - test) on (train - test) in the mean CIELAB colour of tissue; the same
    in haematoxylin and eosin densities is beside it. Generated patches are compared with the real ones of the very
    spots they were made for, so that what these spots are made of is alike; the training slide may be composed
    otherwise, which is part of its distance. Over all sections: least squares over sections, by their spots. Delta E is
    Euclidean in CIELAB (CIE 1976).

    Parameters
    ----------
    train, test, generated
        At one size of patches.
    samples
        Section of each test spot.
    spots
        Test spot of each generated patch; by default they correspond one to one.
    times, seed
        Of the bootstrap: spots within sections.

    Raises
    ------
    InputError
        Arrays that belong together differ in length, or the training patches show no tissue.
    """
    section = np.asarray(samples, dtype=str)
    owner = np.arange(len(section)) if spots is None else np.asarray(spots, dtype=np.int64)
    if len(section) != len(test.lab) or len(owner) != len(generated.lab):
        raise InputError(
            f"stain shift needs a section for each test patch and a spot for each generated one, got {len(section)} "
            f"for {len(test.lab)} and {len(owner)} for {len(generated.lab)}"
        )
    if not np.isfinite(train.lab).any():
        raise InputError("stain shift: no training patch shows any tissue")
    drawn = np.unique(owner)
    names = np.unique(section[drawn])
    each = {
        name: {
            space: _means(getattr(test, space), getattr(generated, space), owner, section == name, times, seed)
            for space in ("lab", "density")
        }
        for name in names
    }
    goal = {"lab": np.nanmean(train.lab, axis=0), "density": np.nanmean(train.density, axis=0)}
    number = {name: int((section[drawn] == name).sum()) for name in names}
    apart = {name: float(np.linalg.norm(goal["lab"] - each[name]["lab"][0][0])) for name in names}
    rows = [_row(str(name), each[name], goal, apart[name] >= LEAST_DELTA_E) for name in names]
    known = [name for name in names if apart[name] >= LEAST_DELTA_E]
    overall = {space: _overall([(number[n], *each[n][space]) for n in known], goal[space]) for space in goal}
    distance = {
        key: float(np.average([row[key] for row in rows], weights=[number[n] for n in names]))
        for key in ("delta_e_generated_test", "delta_e_generated_train", "delta_e_train_test")
    }
    rows.append({"section": "all", "position": overall["lab"], "position_stains": overall["density"]} | distance)
    metrics: dict[str, Any] = {
        "position": overall["lab"].to_dict(),
        "position_stains": overall["density"].to_dict(),
        **distance,
        "sections": {
            row["section"]: {k: v.to_dict() if isinstance(v, Interval) else v for k, v in row.items() if k != "section"}
            for row in rows[:-1]
        },
        "haematoxylin_eosin_density": {
            "train": goal["density"],
            "test": np.nanmean(test.density[drawn], axis=0),
            "generated": np.nanmean(generated.density, axis=0),
        },
        "stain_vectors": {"train": train.vectors, "test": test.vectors, "generated": generated.vectors},
        "stain_angle_deg": {
            "generated_test": angles_between(generated.vectors, test.vectors),
            "generated_train": angles_between(generated.vectors, train.vectors),
            "train_test": angles_between(train.vectors, test.vectors),
        },
    }
    lab = [{"set": "training", "section": "", **dict(zip(_LAB, goal["lab"], strict=True))}]
    for name in names:
        for kind, mean in zip(("test", "generated"), each[name]["lab"], strict=True):
            lab.append({"set": kind, "section": str(name), **dict(zip(_LAB, mean[0], strict=True))})
    return StainEvaluation(
        metrics=metrics, table=pd.DataFrame(rows), lab=pd.DataFrame(lab), note=_note(names, known, apart)
    )


def angles_between(a: Float[np.ndarray, "2 3"], b: Float[np.ndarray, "2 3"]) -> dict[str, float]:
    """Angle of each stain's vectors, in degrees."""
    angle = np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1, 1)))
    return {"haematoxylin": float(angle[0]), "eosin": float(angle[1])}


def _means(
    test: Float[np.ndarray, "spot channel"],
    generated: Float[np.ndarray, "image channel"],
    owner: Int[np.ndarray, " image"],
    inside: Bool[np.ndarray, " spot"],
    times: int,
    seed: int,
) -> tuple[Float[np.ndarray, "resample channel"], Float[np.ndarray, "resample channel"]]:
    """Mean of a section's real and generated patches in every resample, row 0 being the data's."""
    images = np.flatnonzero(inside[owner])
    spots, own = np.unique(owner[images], return_inverse=True)
    resampled = SpotResamples(np.zeros(len(spots)), times=times, seed=seed)
    return (
        np.stack([resampled.means(channel, np.arange(len(spots))) for channel in test[spots].T], axis=1),
        np.stack([resampled.means(channel, own) for channel in generated[images].T], axis=1),
    )


def _row(
    name: str,
    means: dict[str, tuple[np.ndarray, np.ndarray]],
    goal: dict[str, np.ndarray],
    known: bool,
) -> dict[str, Any]:
    """Position and distances of one section."""
    real, generated = (mean[0] for mean in means["lab"])
    positions = {}
    for key, space in (("position", "lab"), ("position_stains", "density")):
        positions[key] = _overall([(1, *means[space])] if known else [], goal[space])
    return {
        "section": name,
        **positions,
        "delta_e_generated_test": float(np.linalg.norm(generated - real)),
        "delta_e_generated_train": float(np.linalg.norm(generated - goal["lab"])),
        "delta_e_train_test": float(np.linalg.norm(goal["lab"] - real)),
    }


def _overall(parts: list[tuple[int, np.ndarray, np.ndarray]], goal: Float[np.ndarray, " channel"]) -> Interval:
    """One position for all sections: sum of projections over sum of squared lengths, by spots."""
    if not parts:
        return Interval(value=float("nan"), low=float("nan"), high=float("nan"))
    along = sum(n * ((generated - real) * (goal - real)).sum(axis=1) for n, real, generated in parts)
    length = sum(n * ((goal - real) ** 2).sum(axis=1) for n, real, _ in parts)
    return interval_of(np.asarray(along / length))


def _note(names: np.ndarray, known: list[str], apart: dict[str, float]) -> str:
    """Say which sections have no position."""
    unknown = [str(name) for name in names if name not in known]
    if not unknown:
        return ""
    distances = ", ".join(f"{name} {apart[name]:.2f}" for name in unknown)
    return (
        f"No position is given where the training slide's tissue and a test section's differ by less than "
        f"{LEAST_DELTA_E:g} Delta E, since there is no line to be on: {distances}."
    )
