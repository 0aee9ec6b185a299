"""Random numbers that belong to a sample: the same key draws the same, in any batch, on any number of processes.

They come from a hash of (key, stream, position) computed where the keys are, so that no sample needs a generator of
its own: a thousand samples cost one vectorised operation, and none of it waits for the device.

The same file, to the byte, in every package that draws by key (tests/test_copies.py); each names its own streams.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LOW = (1 << 32) - 1


def draw_uniform(keys: Int[Tensor, " n"], stream: int, count: int) -> Float[Tensor, "n count"]:
    """Numbers in (0, 1), one row a key, on the keys' device; a longer row begins with the shorter one."""
    high, low = _words(keys, stream, -(-count // 2))
    return torch.stack([_unit(high), _unit(low)], dim=2).flatten(1)[:, :count]


def draw_normal(keys: Int[Tensor, " n"], stream: int, count: int) -> Float[Tensor, "n count"]:
    """Standard normal numbers, one row a key, on the keys' device (Box & Muller 1958)."""
    high, low = _words(keys, stream, -(-count // 2))
    radius, angle = (-2 * _unit(high).log()).sqrt(), 2 * math.pi * _unit(low)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)[:, :count]


def _words(keys: Int[Tensor, " n"], stream: int, count: int) -> tuple[Tensor, Tensor]:
    """Two 32-bit words for each key and position."""
    state = _mix(keys.long()[:, None] + _signed(_GOLDEN * (stream + 1)))
    bits = _mix(state + torch.arange(1, count + 1, device=keys.device) * _signed(_GOLDEN))
    return _shift(bits, 32), bits & _LOW


def _unit(words: Tensor) -> Tensor:
    # the half keeps 0 and 1 out, so that a logarithm is finite; with 23 bits float32's 24 can hold it
    return ((words >> 9).float() + 0.5) * 2.0**-23


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al. 2014) on 64-bit words held as int64, which wraps around."""
    x = (x ^ _shift(x, 30)) * _signed(_FIRST)
    x = (x ^ _shift(x, 27)) * _signed(_SECOND)
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros, which int64's own shift does not."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
