"""The contrastive loss, the bounds it should be read against, and retrieval."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def contrastive_loss(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], temperature: float | Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE with the matching pairs on the diagonal (paper, Method, Phase 1; Radford et al. 2021).

    Parameters
    ----------
    a, b
        Embeddings of unit norm; row i of each belongs to pair i.
    temperature
        Divisor of the cosine similarities.

    Returns
    -------
    Mean of both directions' cross-entropies, in nats.
    """
    logits = a @ b.T / temperature
    target = torch.arange(len(a), device=a.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def chance_loss(batch: int) -> float:
    """The loss of encoders that tell nothing apart: ln(batch), 4.852 at 128."""
    return math.log(batch)


def floor_loss(batch: int, temperature: float = 1.0) -> float:
    """The lowest loss that unit vectors allow, 3.858 at batch 128 and temperature 1.

    It is reached where matching pairs coincide and the others sit on a regular simplex, cosine -1/(batch - 1), which
    takes at least batch - 1 dimensions.
    """
    return math.log1p((batch - 1) * math.exp(_floor_logit(batch) / temperature))


def floor_loss_at(batch: int, temperature: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """`floor_loss` of a temperature that stays on its device: reading it would make a training step wait."""
    return torch.log1p((batch - 1) * torch.exp(_floor_logit(batch) / temperature))


def _floor_logit(batch: int) -> float:
    return -(1 + 1 / (batch - 1))


def retrieval_at_k(
    queries: Float[Tensor, "n dim"], targets: Float[Tensor, "n dim"], k: int, *, chunk: int = 1024
) -> float:
    """Share of queries whose own target is among the k most similar of all n targets; chance is k/n.

    A target as similar as the right one counts as ranked before it, so that collapsed embeddings find nothing.
    """
    return float(count_found(queries, targets, k, chunk=chunk)) / len(queries)


@torch.no_grad()
def count_found(
    queries: Float[Tensor, "n dim"], targets: Float[Tensor, "n dim"], k: int, *, chunk: int = 1024
) -> Int64[Tensor, ""]:
    """Number of queries that `retrieval_at_k` counts as found, left on its device."""
    found = torch.zeros((), dtype=torch.int64, device=queries.device)
    for start in range(0, len(queries), chunk):
        similarity = queries[start : start + chunk] @ targets.T
        rows = torch.arange(len(similarity), device=similarity.device)
        own = similarity[rows, rows + start]
        rank = (similarity >= own[:, None]).sum(dim=1) - 1
        found += (rank < k).sum()
    return found
