"""Random numbers that belong to a sample: the same key draws the same, in any batch, on any number of processes."""

from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = (1 << 64) - 1


class Stream(IntEnum):
    """What a draw is for; streams of one key are independent."""

    LATENT = 1  # z and per-pixel noise of an image that is kept
    DISCRIMINATOR_LATENT = 2
    GENERATOR_LATENT = 3
    REAL_VIEW = 4
    DISCRIMINATOR_VIEW = 5
    GENERATOR_VIEW = 6
    CROP = 7
    MEAN = 8


def derive_seed(key: int, stream: int) -> int:
    """A 63-bit seed from a key and a stream (the finaliser of SplitMix64; Steele et al. 2014)."""
    x = (key + 0x9E3779B97F4A7C15 * (stream + 1)) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) >> 1


def draw_normal(keys: Int[Tensor, " n"], stream: Stream, count: int) -> Float[Tensor, "n count"]:
    """Standard normal numbers, one row a key, on the keys' device.

    The first numbers of a row do not depend on `count` as long as it is a multiple of 16, so that a generator that
    grew by one block draws the same z and the same noise for its lower blocks.
    """
    rows = torch.empty(len(keys), count)
    source = torch.Generator()
    for row, key in zip(rows, keys.tolist(), strict=True):
        row.normal_(generator=source.manual_seed(derive_seed(key, stream)))
    return rows.to(keys.device)


def draw_uniform(keys: Int[Tensor, " n"], stream: Stream, count: int) -> Float[Tensor, "n count"]:
    """Numbers in [0, 1), one row a key, on the keys' device."""
    rows = torch.empty(len(keys), count)
    source = torch.Generator()
    for row, key in zip(rows, keys.tolist(), strict=True):
        row.uniform_(generator=source.manual_seed(derive_seed(key, stream)))
    return rows.to(keys.device)
