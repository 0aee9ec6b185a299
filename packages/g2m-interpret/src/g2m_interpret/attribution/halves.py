"""Whether as many other spots would have given the same genes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from g2m_interpret.attribution.pairs import Encoder, attribute_pairs
from g2m_interpret.attribution.profiles import ExpressionRows, cluster_profiles
from g2m_interpret.attribution.ranking import rank_genes
from g2m_interpret.config import AttributionSettings
from g2m_interpret.progress import Track, pass_through


def shared_by_halves(
    encoder: nn.Module | Encoder,
    expression: ExpressionRows | NDArray[np.floating],
    labels: ArrayLike,
    genes: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    settings: AttributionSettings | None = None,
    encode: Callable[[Float[Tensor, "n gene"]], Float[Tensor, "n dim"]] | None = None,
    top: int = 100,
    seed: int = 0,
    device: torch.device | str = "cpu",
    track: Track = pass_through,
) -> Float[np.ndarray, " pair"]:
    """Share of each pair's top genes that two random halves of its clusters' spots have in common.

    Half the spots scatter more than all of them, so that this is a lower bound on how well the genes of all spots would
    be found again in as many others.

    Parameters
    ----------
    encoder, settings, device
        As of `attribute_pairs`.
    expression, labels, genes, encode
        As of `cluster_profiles`.
    pairs
        (query, reference).
    top
        Genes of highest score.
    seed
        Of the halves.

    Returns
    -------
    NaN for a pair with a cluster of one spot.
    """
    settings = dataclasses.replace(settings or AttributionSettings(), untrained=0)
    names = np.array(["" if item is None or item != item else str(item) for item in np.asarray(labels, dtype=object)])
    generator = np.random.default_rng(seed)
    second = np.zeros(len(names), dtype=bool)
    for cluster in sorted({*names} - {""}):
        spots = generator.permutation(np.flatnonzero(names == cluster))
        second[spots[: len(spots) // 2]] = True
    split = set(names[second])
    compared = [pair for pair in pairs if split.issuperset(pair)]
    shared = np.full(len(pairs), np.nan)
    if not compared:
        return shared
    halves = []
    for half in (False, True):
        profiles = cluster_profiles(
            expression,
            np.where(second == half, names, ""),
            genes,
            encode=encode,
            clusters=sorted({cluster for pair in compared for cluster in pair}),
            track=track,
        )
        halves.append(
            attribute_pairs(encoder, profiles, settings=settings, pairs=compared, seed=seed, device=device, track=track)
        )
    for row, pair in enumerate(compared):
        first, other = ({*rank_genes(half, row, top=top).index} for half in halves)
        if first and other:
            shared[pairs.index(pair)] = len(first & other) / max(len(first), len(other))
    return shared
