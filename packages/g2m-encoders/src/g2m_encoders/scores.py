"""How well embedded pairs find each other: computed where they are, read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from g2m_encoders.loss import chance_loss, contrastive_loss, count_found, floor_loss

_NEAREST = 5


def score_pairs(
    expression: Float[Tensor, "n dim"],
    image: Float[Tensor, "n dim"],
    sections: Sequence[Int64[Tensor, " _"]],
    temperature: Float[Tensor, ""],
    batch_size: int,
) -> dict[str, float]:
    """Loss and retrieval of pairs; see `ContrastiveTask.evaluate`.

    Parameters
    ----------
    expression, image
        Embeddings of unit norm; row i of each belongs to pair i.
    sections
        Rows of each section, on the embeddings' device.
    temperature
        Divisor of the similarities.
    batch_size
        Pairs that contrast with one another in the loss, drawn at random but always alike.
    """
    count, device = len(expression), expression.device
    size = min(batch_size, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).to(device)
    groups = order[: count // size * size].view(-1, size)
    losses = [contrastive_loss(expression[group], image[group], temperature) for group in groups]
    found = [
        count_found(expression[rows], image[rows], _NEAREST) + count_found(image[rows], expression[rows], _NEAREST)
        for rows in sections
    ]
    return _summarise(_read([temperature, *losses, *found]), [len(rows) for rows in sections], size)


def rows_of_sections(sections: Int64[Tensor, " n"], device: torch.device) -> list[Int64[Tensor, " _"]]:
    """Rows of each section, in the order of the sections' numbers."""
    on_host = sections.cpu()
    return [(on_host == value).nonzero().flatten().to(device) for value in torch.unique(on_host)]


def _read(values: Sequence[Tensor]) -> list[float]:
    """Numbers of the device, in one transfer: the only place where it is waited for."""
    numbers: list[float] = torch.stack([value.float() for value in values]).tolist()
    return numbers


def _summarise(values: Sequence[float], section_sizes: Sequence[int], size: int) -> dict[str, float]:
    temperature, *rest = values
    losses, found = rest[: -len(section_sizes)], rest[-len(section_sizes) :]
    shares = [hits / (2 * pairs) for hits, pairs in zip(found, section_sizes, strict=True)]
    chances = [min(_NEAREST / pairs, 1.0) for pairs in section_sizes]
    return {
        "loss": sum(losses) / len(losses),
        "loss_chance": chance_loss(size),
        "loss_floor": floor_loss(size, temperature),
        "temperature": temperature,
        "retrieval_top5": sum(shares) / len(shares),
        "chance_top5": sum(chances) / len(chances),
    }
