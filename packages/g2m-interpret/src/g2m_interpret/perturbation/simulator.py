"""Drawing and measuring tissue from given expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from g2m_interpret.errors import InputError

Encode = Callable[[Float[np.ndarray, "n gene"]], Float[np.ndarray, "n dim"]]
Generate = Callable[[Float[np.ndarray, "n dim"], Int[np.ndarray, " n"]], UInt8[np.ndarray, "n height width 3"]]
Measure = Callable[[UInt8[np.ndarray, "n height width 3"]], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Expression to images and their statistics, by any models.

    Attributes
    ----------
    genes
        The encoder's panel, in its order.
    encode
        log1p expression -> embeddings.
    generate
        Embeddings and noise keys -> images; the same key gives the same noise.
    measure
        Images -> one row each, a column a statistic; NaN where an image has none.
    batch_size
        Images drawn at once.
    """

    genes: tuple[str, ...]
    encode: Encode
    generate: Generate
    measure: Measure
    batch_size: int = 64

    def draw(
        self, expression: Float[np.ndarray, "spot gene"], noise_keys: Int[np.ndarray, "spot seed"]
    ) -> UInt8[np.ndarray, "spot seed height width 3"]:
        """Images of each spot with each of its noise keys."""
        self._check(expression, noise_keys)
        embeddings = self.encode(expression)
        rows = np.repeat(np.arange(len(expression)), noise_keys.shape[1])
        flat = noise_keys.ravel()
        images = np.concatenate(
            [
                self.generate(embeddings[rows[part]], flat[part])
                for part in np.split(np.arange(len(rows)), range(self.batch_size, len(rows), self.batch_size))
            ]
        )
        return images.reshape(*noise_keys.shape, *images.shape[1:])

    def simulate(
        self, expression: Float[np.ndarray, "spot gene"], noise_keys: Int[np.ndarray, "spot seed"]
    ) -> tuple[Float[np.ndarray, "spot seed statistic"], tuple[str, ...]]:
        """Statistics of those images and their names; few images are held at once."""
        self._check(expression, noise_keys)
        embeddings = self.encode(expression)
        rows, flat = np.repeat(np.arange(len(expression)), noise_keys.shape[1]), noise_keys.ravel()
        parts = [
            self.measure(self.generate(embeddings[rows[part]], flat[part]))
            for part in np.split(np.arange(len(rows)), range(self.batch_size, len(rows), self.batch_size))
        ]
        table = pd.concat(parts, ignore_index=True)
        return table.to_numpy(dtype=np.float64).reshape(*noise_keys.shape, -1), tuple(map(str, table.columns))

    def _check(self, expression: Float[np.ndarray, "spot gene"], noise_keys: Int[np.ndarray, "spot seed"]) -> None:
        if expression.shape != (len(noise_keys), len(self.genes)) or not noise_keys.size:
            raise InputError(
                f"expression has shape {expression.shape}: expected {len(noise_keys)} spots with a row of noise keys "
                f"each and {len(self.genes)} genes"
            )


def draw_keys(spots: Sequence[str], seeds: int, seed: int) -> Int[np.ndarray, "spot seed"]:
    """Noise keys that belong to a spot's name: another choice of spots leaves each its own."""
    return np.stack([np.random.default_rng([seed, *name.encode()]).integers(2**62, size=seeds) for name in spots])
