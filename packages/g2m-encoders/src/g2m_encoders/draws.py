"""Random numbers that depend on a sample's key and on nothing else."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def draw_uniform(keys: Int64[Tensor, " batch"], width: int) -> Float[Tensor, "batch width"]:
    """Numbers in [0, 1), one generator a sample, on the keys' device.

    They are drawn on the CPU, because only there is a generator's sequence the same on every machine.
    """
    return _draw(keys, width, torch.rand)


def draw_normal(keys: Int64[Tensor, " batch"], width: int) -> Float[Tensor, "batch width"]:
    """Standard normal numbers, one generator a sample, on the keys' device; independent of `draw_uniform`'s."""
    # With equal seeds the normals would be functions of the uniforms: this constant sets the two streams apart.
    return _draw(keys ^ 0x9E3779B97F4A7C1, width, torch.randn)


def _draw(keys: Int64[Tensor, " batch"], width: int, draw: object) -> Float[Tensor, "batch width"]:
    numbers = torch.empty(len(keys), width)
    generator = torch.Generator()
    for row, key in zip(numbers, keys.tolist(), strict=True):
        generator.manual_seed(key)
        draw(width, generator=generator, out=row)  # type: ignore[operator]
    return numbers.to(keys.device)
