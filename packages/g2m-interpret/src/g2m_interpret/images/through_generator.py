"""Which genes move an image: attribution through expression encoder and generator to image statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anndata
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from g2m_interpret import keys as names
from g2m_interpret.errors import InputError
from g2m_interpret.images.surrogates import ImageStatistics
from g2m_interpret.progress import Track, pass_through

Draw = Callable[[Float[Tensor, "n dim"], Int[Tensor, " n"]], Float[Tensor, "n 3 height width"]]
"""Embeddings and noise keys -> images in [-1, 1], differentiable in the embeddings."""


def attribute_images(
    expression: Float[np.ndarray, "spot gene"],
    genes: Sequence[str],
    noise_keys: Int[np.ndarray, "spot seed"],
    *,
    encode: Callable[[Float[Tensor, "n gene"]], Float[Tensor, "n dim"]],
    draw: Draw,
    statistics: ImageStatistics,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    track: Track = pass_through,
) -> anndata.AnnData:
    """First-order change of each image statistic with each gene, averaged over spots and noise.

    The gradient of a statistic is taken to the embedding for every image, averaged over a spot's noise, and taken on to
    expression once a spot, which gives the same as going all the way for every image.

    Parameters
    ----------
    expression
        log1p profiles at which the gradient is taken.
    noise_keys
        Of each spot's images.
    encode, draw
        Differentiable, in evaluation mode.
    statistics
        Differentiable numbers of images: `image_surrogates`, `along`, or a function of one's own.

    Returns
    -------
    Statistics by genes. X: predicted change when a gene's counts double; layers ``knockout`` (predicted change when
    they become 0), ``gradient`` (by log1p expression) and ``standard_error`` (of X over spots); obs ``mean`` and
    ``deviation`` of the statistic over the images, ``spots``, ``seeds``.

    Raises
    ------
    InputError
        Sizes do not fit.
    """
    if expression.shape != (len(noise_keys), len(genes)) or not noise_keys.size:
        raise InputError(
            f"{len(noise_keys)} rows of noise keys and {len(genes)} genes do not fit expression of {expression.shape}"
        )
    profiles = torch.as_tensor(expression, dtype=torch.float32, device=device)
    with torch.no_grad():
        embeddings = torch.cat([encode(part) for part in torch.split(profiles, batch_size)])
    spots, seeds = noise_keys.shape
    spot_of, flat = np.repeat(np.arange(spots), seeds), torch.as_tensor(noise_keys.ravel(), device=device)
    values: dict[str, list[Tensor]] = {}
    pulls: dict[str, Tensor] = {}  # mean gradient of a statistic by each spot's embedding
    starts = range(0, len(flat), batch_size)
    for start in track(starts, description="Drawing and differentiating", total=len(starts)):
        rows = torch.as_tensor(spot_of[start : start + batch_size], device=device)
        condition = embeddings[rows].requires_grad_()
        measured = statistics(draw(condition, flat[start : start + batch_size]))
        for name, value in measured.items():
            (gradient,) = torch.autograd.grad(value.sum(), condition, retain_graph=True)
            pull = pulls.setdefault(name, torch.zeros_like(embeddings))
            pull.index_add_(0, rows, gradient / seeds)
            values.setdefault(name, []).append(value.detach())
    gradients = {name: _to_expression(profiles, pull, encode, batch_size) for name, pull in pulls.items()}
    doubling = -np.expm1(-expression.astype(np.float64)) * np.log(2)  # log1p(c): its derivative by log2 of the count c
    changes = {name: gradient * doubling for name, gradient in gradients.items()}
    images = {name: torch.cat(parts).cpu().numpy() for name, parts in values.items()}
    return anndata.AnnData(
        X=np.stack([change.mean(axis=0) for change in changes.values()]),
        obs=pd.DataFrame(
            {
                "mean": [float(value.mean()) for value in images.values()],
                "deviation": [float(value.std()) for value in images.values()],
                "spots": spots,
                "seeds": seeds,
            },
            index=pd.Index(list(changes)),
        ),
        var=pd.DataFrame(index=pd.Index(list(genes))),
        layers={
            names.GRADIENT: np.stack([gradient.mean(axis=0) for gradient in gradients.values()]),
            names.KNOCKOUT: np.stack([-(gradient * expression).mean(axis=0) for gradient in gradients.values()]),
            names.STANDARD_ERROR: np.stack(
                [change.std(axis=0, ddof=1 if spots > 1 else 0) / np.sqrt(spots) for change in changes.values()]
            ),
        },
    )


def _to_expression(
    profiles: Float[Tensor, "spot gene"],
    pull: Float[Tensor, "spot dim"],
    encode: Callable[[Float[Tensor, "n gene"]], Float[Tensor, "n dim"]],
    batch_size: int,
) -> Float[np.ndarray, "spot gene"]:
    parts = []
    for part, own in zip(torch.split(profiles, batch_size), torch.split(pull, batch_size), strict=True):
        inputs = part.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(encode(inputs), inputs, grad_outputs=own)
        parts.append(gradient.cpu().numpy().astype(np.float64))
    return np.concatenate(parts)
