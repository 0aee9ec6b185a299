"""Are generated patches copies of training patches? Nearest neighbours, against those of real patches held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import ArrayLike

from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Extractor, Patches
from g2m_eval.intervals import RESAMPLES, Interval, percentile_interval
from g2m_eval.resize import resize_patches

EXPECTED = 0.05
"""Share of held-out distances below the threshold, and so of fresh patches too."""
APART = 2.0
"""Patch widths around a held-out patch within which no training patch is its neighbour."""
SHOWN = 6
_QUERIES, _ROWS = 256, 16_384  # compared at once: 17 MB of distances
_VIEWS = 8


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The nearest training patch of each query, over its eight turned and mirrored views.

    Attributes
    ----------
    distance
        Euclidean, in features standardised by those of the training patches.
    row, view
        Training patch, and view of the query that is nearest to it.
    """

    distance: Float[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    view: Int[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class ClosestPairs:
    """Queries with the smallest distances, most suspicious first.

    Attributes
    ----------
    patches, neighbours
        Each query in its nearest view, and that training patch, at one size.
    distance, difference
        Of features; root mean square difference of their grey levels, in 0..255.
    """

    patches: UInt8[np.ndarray, "n size size 3"]
    neighbours: UInt8[np.ndarray, "n size size 3"]
    distance: Float[np.ndarray, " n"]
    difference: Float[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class MemorisationYardstick:
    """What real patches that were not learned are like, at one size: shared by all generators.

    Attributes
    ----------
    extractor, resolution, train, features, mean, scale
        What queries are compared with, and how; ``features`` are standardised.
    held_out, held_out_pairs
        Training patches against those of other places of their slide.
    test
        Patches of test sections against all training patches.
    queries, seed
        Most patches of each kind that are compared; of their draw.
    """

    extractor: Extractor
    resolution: int
    train: Patches
    features: Float[np.ndarray, "n_train dim"]
    mean: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    held_out: Nearest
    held_out_pairs: ClosestPairs
    test: Nearest
    queries: int
    seed: int

    def nearest(self, patches: UInt8[np.ndarray, "n height width 3"]) -> Nearest:
        """Give the nearest of all training patches."""
        views = _features_of_views(patches, self.extractor, self.resolution, self.mean, self.scale)
        return _nearest(views, self.features)

    def pairs(self, patches: UInt8[np.ndarray, "n height width 3"], found: Nearest) -> ClosestPairs:
        """Give the closest pairs."""
        return _closest(patches, found, self.train, self.resolution)


@dataclass(frozen=True, kw_only=True)
class MemorisationEvaluation:
    """How near generated patches come to training patches.

    Attributes
    ----------
    metrics
        The entry ``models.<name>.memorisation`` of ``metrics.json``.
    distances
        Nearest distances of "generated", "held-out" (training patches) and "test" patches.
    pairs
        Closest pairs of "generated" and "held-out" patches.
    """

    metrics: dict[str, Any]
    distances: dict[str, Float[np.ndarray, " n"]]
    pairs: dict[str, ClosestPairs]


def measure_yardstick(
    *,
    extractor: Extractor,
    train: Patches,
    features: Float[np.ndarray, "n_train dim"],
    xy: Float[np.ndarray, "n_train 2"],
    width: float | Float[np.ndarray, " n_train"],
    samples: ArrayLike,
    test: UInt8[np.ndarray, "n height width 3"],
    resolution: int,
    queries: int = 1000,
    seed: int = 0,
) -> MemorisationYardstick:
    """Measure how near fresh real patches come to training patches.

    The fair yardstick are training patches, each against the training patches of its slide and of others that lie at
    least two widths away, so that they share no pixel and are no neighbours: new tissue in the same stain. Patches of
    test sections are farther for their stain and depth alone.

    Parameters
    ----------
    extractor
        Need not ignore turns: all eight views of each query are compared.
    train, features
        Training patches among which the nearest is looked for, and their features at ``resolution``; patches are only
        read where they are shown.
    xy, width, samples
        Centres and width in one unit, and section, of training patches.
    test
        Real patches of test sections.
    resolution
        Pixels a side of the generated patches.
    queries
        Most held-out and most test patches, drawn at random.

    Raises
    ------
    InputError
        Arrays that belong together differ in length, or all training patches lie within two widths of one another.
    """
    section = np.unique(samples, return_inverse=True)[1].astype(np.float64)
    if not len(features) == train.shape[0] == len(xy) == len(section):
        raise InputError(
            f"memorisation needs features, a place and a section for each training patch, got {len(features)}, "
            f"{len(xy)} and {len(section)} for {train.shape[0]}"
        )
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-8, scale, 1.0).astype(np.float32)
    standard = ((features - mean) / scale).astype(np.float32)
    places = np.column_stack([section, xy])
    reach = np.broadcast_to(APART * np.asarray(width, dtype=np.float64), len(xy))
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.choice(len(features), min(queries, len(features)), replace=False))
    own = _take(train, rows)
    views = _features_of_views(own, extractor, resolution, mean, scale)
    held_out = _nearest(views, standard, np.column_stack([places, reach])[rows], places)
    if not np.isfinite(held_out.distance).all():
        raise InputError(
            f"memorisation: a training patch has no other at least {APART:g} widths away: use more of the slide"
        )
    some = np.sort(generator.choice(len(test), min(queries, len(test)), replace=False))
    of_test = _features_of_views(test[some], extractor, resolution, mean, scale)
    return MemorisationYardstick(
        extractor=extractor,
        resolution=resolution,
        train=train,
        features=standard,
        mean=mean,
        scale=scale,
        held_out=held_out,
        held_out_pairs=_closest(own, held_out, train, resolution),
        test=_nearest(of_test, standard),
        queries=queries,
        seed=seed,
    )


def evaluate_memorisation(
    yardstick: MemorisationYardstick, generated: UInt8[np.ndarray, "n size size 3"], *, times: int = RESAMPLES
) -> MemorisationEvaluation:
    """Compare the nearest training patches of generated patches with those of held-out real ones.

    - ``closer_than_held_out``: share of generated patches nearer to a training patch than 95 % of held-out real patches
      are; 0.05 is expected of fresh patches, more of copies, less of patches unlike any tissue;
    - ``auc``: chance that a generated patch is nearer than a held-out one; 0.5 where they are alike.

    Intervals come from drawing both generated and held-out patches again.

    Parameters
    ----------
    yardstick
        Real patches, at the size of the generated ones.
    generated
        At most ``yardstick.queries`` are compared, drawn at random.
    times
        Resamples.

    Raises
    ------
    InputError
        There are no generated patches.
    """
    if not len(generated):
        raise InputError("memorisation needs one or more generated patches")
    generator = np.random.default_rng(yardstick.seed)
    rows = np.sort(generator.choice(len(generated), min(yardstick.queries, len(generated)), replace=False))
    found = yardstick.nearest(generated[rows])
    distances = {
        "generated": found.distance,
        "held-out": yardstick.held_out.distance,
        "test": yardstick.test.distance,
    }
    pairs = {"generated": yardstick.pairs(generated[rows], found), "held-out": yardstick.held_out_pairs}
    share, auc = _compare(distances["generated"], distances["held-out"], times, generator)
    share_test, auc_test = _compare(distances["test"], distances["held-out"], times, generator)
    metrics = {
        "median_distance": {kind.replace("-", "_"): float(np.median(d)) for kind, d in distances.items()},
        "threshold": float(np.quantile(distances["held-out"], EXPECTED)),
        "expected": EXPECTED,
        "closer_than_held_out": share.to_dict(),
        "closer_than_held_out_test": share_test.to_dict(),
        "auc": auc.to_dict(),
        "auc_test": auc_test.to_dict(),
        "closest_pixel_difference": {
            kind.replace("-", "_"): float(np.median(pair.difference)) for kind, pair in pairs.items()
        },
        "n": {kind.replace("-", "_"): len(d) for kind, d in distances.items()} | {"train": len(yardstick.features)},
        "extractor": yardstick.extractor.name,
        "resolution": yardstick.resolution,
        "seed": yardstick.seed,
    }
    return MemorisationEvaluation(metrics=metrics, distances=distances, pairs=pairs)


def _compare(
    queries: Float[np.ndarray, " n"], held_out: Float[np.ndarray, " m"], times: int, generator: np.random.Generator
) -> tuple[Interval, Interval]:
    """Share of queries below the threshold of the held-out ones, and the chance that a query is nearer."""

    def measure(q: np.ndarray, h: np.ndarray) -> tuple[float, float]:
        share = float((q < np.quantile(h, EXPECTED)).mean())
        ordered = np.sort(h)
        beyond = len(h) - np.searchsorted(ordered, q, side="right")
        equal = len(h) - np.searchsorted(ordered, q, side="left") - beyond
        return share, float((beyond + equal / 2).mean() / len(h))

    drawn = [
        measure(generator.choice(queries, len(queries)), generator.choice(held_out, len(held_out)))
        for _ in range(times)
    ]
    again = np.array(drawn).reshape(times, 2)
    share, auc = measure(queries, held_out)
    return percentile_interval(share, again[:, 0]), percentile_interval(auc, again[:, 1])


def _nearest(
    views: Float[np.ndarray, "view n dim"],
    train: Float[np.ndarray, "n_train dim"],
    places: Float[np.ndarray, "n 4"] | None = None,
    train_places: Float[np.ndarray, "n_train 3"] | None = None,
) -> Nearest:
    """Search in blocks; section, x, y and reach of a query, if given, leave out the training patches near it."""
    count = views.shape[1]
    best = np.full(count, np.inf, dtype=np.float32)
    row, view = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for first in range(0, len(train), _ROWS):
        part = train[first : first + _ROWS]
        square = np.einsum("nd,nd->n", part, part)
        for start in range(0, count, _QUERIES):
            here = np.arange(start, min(start + _QUERIES, count))
            near = None
            if places is not None and train_places is not None:
                near = np.nonzero(_near(places[here], train_places[first : first + _ROWS]))
            for v in range(len(views)):
                asked = views[v, here]
                distance = (-2 * asked) @ part.T
                distance += square
                if near is not None:
                    distance[near] = np.inf
                place = distance.argmin(axis=1)
                found = distance[np.arange(len(here)), place] + np.einsum("nd,nd->n", asked, asked)
                better = found < best[here]
                best[here[better]] = found[better]
                row[here[better]], view[here[better]] = first + place[better], v
    return Nearest(distance=np.sqrt(np.maximum(best, 0)).astype(np.float64), row=row, view=view)


def _near(places: Float[np.ndarray, "n 4"], train: Float[np.ndarray, "m 3"]) -> Bool[np.ndarray, "n m"]:
    near = places[:, None, 0] == train[None, :, 0]
    for axis in (1, 2):
        near &= np.abs(places[:, None, axis] - train[None, :, axis]) < places[:, None, 3]
    return np.asarray(near)


def _features_of_views(
    patches: UInt8[np.ndarray, "n height width 3"],
    extractor: Extractor,
    resolution: int,
    mean: Float[np.ndarray, " dim"],
    scale: Float[np.ndarray, " dim"],
) -> Float[np.ndarray, "view n dim"]:
    """Of the queries alone: turning both patches of a pair alike changes nothing, so one side's views are enough."""
    small = resize_patches(patches, resolution)
    return np.stack([((extractor.features(_turn(small, v)) - mean) / scale).astype(np.float32) for v in range(_VIEWS)])


def _turn(patches: UInt8[np.ndarray, "... size size 3"], view: int) -> UInt8[np.ndarray, "... size size 3"]:
    turned = np.rot90(patches, view % 4, axes=(-3, -2))
    return np.ascontiguousarray(turned if view < 4 else turned[..., ::-1, :])


def _closest(
    patches: UInt8[np.ndarray, "n height width 3"], found: Nearest, train: Patches, resolution: int
) -> ClosestPairs:
    order = np.argsort(found.distance, kind="stable")[:SHOWN]
    shown = resize_patches(patches[order], resolution)
    turned = np.stack([_turn(patch, int(view)) for patch, view in zip(shown, found.view[order], strict=True)])
    neighbours = resize_patches(_take(train, found.row[order]), resolution)
    apart = turned.astype(np.float64) - neighbours
    return ClosestPairs(
        patches=turned,
        neighbours=neighbours,
        distance=found.distance[order],
        difference=np.sqrt((apart**2).mean(axis=(1, 2, 3))),
    )


def _take(patches: Patches, rows: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n height width 3"]:
    """Some patches by row, for what can only be sliced."""
    return np.concatenate([np.asarray(patches[int(row) : int(row) + 1]) for row in rows])
