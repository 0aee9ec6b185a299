"""Which genes tell one cluster from another, for every ordered pair of clusters."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations

import anndata
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from g2m_interpret import keys
from g2m_interpret.attribution.integral import PathIntegral, integrate_gradients
from g2m_interpret.attribution.profiles import ClusterProfiles
from g2m_interpret.attribution.untrained import freshly_initialised
from g2m_interpret.config import AttributionSettings
from g2m_interpret.errors import InputError
from g2m_interpret.progress import Track, pass_through

Encoder = Callable[[Float[Tensor, "n gene"]], Float[Tensor, "n dim"]]


def attribute_pairs(
    encoder: nn.Module | Encoder,
    profiles: ClusterProfiles,
    *,
    settings: AttributionSettings | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    track: Track = pass_through,
) -> anndata.AnnData:
    """Integrated gradients of F(x) = ||e(x) - r||² from the reference's mean expression to the query's (paper, R8).

    Parameters
    ----------
    encoder
        Profiles to embeddings. A module is copied in float64 and evaluation mode, so that rounding does not limit
        completeness; any other callable is handed float64 profiles and must take them.
    profiles
        Of the clusters; the order of genes is the encoder's.
    pairs
        (query, reference); every ordered pair by default.
    seed
        Of SmoothGrad's noise, which belongs to a gene's name: another order of genes draws the same. Of fresh weights.

    Returns
    -------
    Pairs by genes. X: the score (`settings.score`); layers ``attribution`` (signed, its rows sum to obs
    ``distance_change``), ``difference`` (of mean log1p expression) and, if asked for, ``untrained_1``, ... (the score
    by encoders with fresh weights, whose r is always the embedded mean expression); obs ``query``, ``reference``,
    ``distance_change``, ``completeness_error``, ``evaluations``; uns ``attribution``: settings and seed.

    Raises
    ------
    InputError
        An unknown cluster, a pair of one with itself, mean embeddings are asked for that the profiles lack, or
        untrained encoders and the encoder is no module whose layers initialise themselves.
    """
    settings = settings or AttributionSettings()
    wanted = list(pairs) if pairs is not None else list(permutations(profiles.clusters, 2))
    for query, reference in wanted:
        profiles.row(query), profiles.row(reference)
        if query == reference:
            raise InputError(f"cluster {query!r} cannot be compared with itself")
    if settings.reference == "mean-embedding" and profiles.embedding is None:
        raise InputError("mean embeddings are not in these profiles: give cluster_profiles the encoder")
    encoders = _with_untrained(encoder, settings.untrained, seed)
    total = (1 + settings.untrained) * len(wanted)
    found = list(
        track(_integrals(encoders, profiles, wanted, settings, seed, device), description="Attributing", total=total)
    )
    attribution = np.stack([item.attributions.cpu().numpy() for item in found])
    rows = [(profiles.row(query), profiles.row(reference)) for query, reference in wanted]
    difference = np.stack([profiles.mean[q] - profiles.mean[r] for q, r in rows])
    first, *fresh = (
        score_genes(part, difference, settings.score) for part in np.split(attribution, 1 + settings.untrained)
    )
    own = found[: len(wanted)]
    return anndata.AnnData(
        X=first,
        obs=pd.DataFrame(
            {
                keys.QUERY: [query for query, _ in wanted],
                keys.REFERENCE: [reference for _, reference in wanted],
                keys.CHANGE: [item.change for item in own],
                keys.COMPLETENESS_ERROR: [item.error for item in own],
                keys.EVALUATIONS: [item.evaluations for item in own],
            },
            index=pd.Index([f"{query} / {reference}" for query, reference in wanted]),
        ),
        var=pd.DataFrame(index=pd.Index(profiles.genes)),
        layers={
            keys.ATTRIBUTION: attribution[: len(wanted)],
            keys.DIFFERENCE: difference,
            **{f"{keys.UNTRAINED}_{number}": scores for number, scores in enumerate(fresh, start=1)},
        },
        uns={keys.ATTRIBUTION: dataclasses.asdict(settings) | {"seed": seed}},
    )


def in_float64(encoder: nn.Module) -> nn.Module:
    """Give a copy of a module in double precision and evaluation mode, without gradients of its weights."""
    return copy.deepcopy(encoder).double().eval().requires_grad_(False)


def score_genes(
    attribution: Float[np.ndarray, "pair gene"], difference: Float[np.ndarray, "pair gene"], score: str
) -> Float[np.ndarray, "pair gene"]:
    """Score genes by their attributions.

    ``upregulated``: the absolute attribution where the query expresses more than the reference, else 0 (the published
    score); ``signed``: the attribution, positive where the gene's change carries the embedding away from the reference.
    """
    return attribution.copy() if score == "signed" else np.where(difference > 0, np.abs(attribution), 0.0)


def _with_untrained(encoder: nn.Module | Encoder, count: int, seed: int) -> Iterator[nn.Module | Encoder]:
    yield encoder
    for number in range(count):  # one at a time: the paper's has 352 million weights
        if not isinstance(encoder, nn.Module):
            raise InputError("attribution.untrained: a function cannot be had untrained, only a module; set it to 0")
        yield freshly_initialised(encoder, seed + number)


def _integrals(
    encoders: Iterable[nn.Module | Encoder],
    profiles: ClusterProfiles,
    pairs: Sequence[tuple[str, str]],
    settings: AttributionSettings,
    seed: int,
    device: torch.device | str,
) -> Iterator[PathIntegral]:
    """Every pair by the encoder in question, then by those untrained."""
    mean = torch.as_tensor(profiles.mean, dtype=torch.float64, device=device)
    noise = _noise(profiles.genes, settings, seed) * settings.smooth_scale
    for number, encoder in enumerate(encoders):
        encode = in_float64(encoder).to(device) if isinstance(encoder, nn.Module) else encoder
        for query, reference in pairs:
            q, r = profiles.row(query), profiles.row(reference)
            embedding = profiles.embedding if settings.reference == "mean-embedding" and not number else None
            target = _target(encode, mean[r], None if embedding is None else embedding[r])
            ends = [mean[q] + torch.as_tensor(draw * profiles.deviation[q], device=device) for draw in noise]
            yield _average([_between(encode, target, mean[r], end, settings) for end in ends or [mean[q]]])


@torch.no_grad()
def _target(
    encode: Encoder, mean: Float[Tensor, " gene"], embedding: Float[np.ndarray, " dim"] | None
) -> Float[Tensor, " dim"]:
    return encode(mean[None])[0] if embedding is None else torch.as_tensor(embedding, device=mean.device)


def _between(
    encode: Encoder,
    target: Float[Tensor, " dim"],
    start: Float[Tensor, " gene"],
    end: Float[Tensor, " gene"],
    settings: AttributionSettings,
) -> PathIntegral:
    return integrate_gradients(
        lambda x: (encode(x) - target).square().sum(dim=1),
        start,
        end,
        tolerance=settings.tolerance,
        nodes=settings.nodes,
        pieces=settings.pieces,
        max_evaluations=settings.max_evaluations,
        batch_size=settings.batch_size,
    )


def _noise(genes: Sequence[str], settings: AttributionSettings, seed: int) -> Float[np.ndarray, "sample gene"]:
    drawn = np.random.default_rng(seed).standard_normal((settings.smooth_samples, len(genes)))
    return drawn[:, np.argsort(np.argsort(np.asarray(genes, dtype=object)))]  # by the rank of the name


def _average(parts: Sequence[PathIntegral]) -> PathIntegral:
    """One result for all noisy copies of a query; its error is the worst one's."""
    return PathIntegral(
        attributions=torch.stack([part.attributions for part in parts]).mean(dim=0),
        change=float(np.mean([part.change for part in parts])),
        error=max(part.error for part in parts),
        evaluations=sum(part.evaluations for part in parts),
    )
