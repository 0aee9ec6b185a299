"""Shapes and types in signatures are checked while tests run; a small encoder and clusters that any test can use."""

from importlib import import_module

from jaxtyping import install_import_hook

with install_import_hook("g2m_interpret", "beartype.beartype"):
    for module in (
        "attribution.halves",
        "attribution.pairs",
        "enrichment.prerank",
        "enrichment.tables",
        "images.through_generator",
        "perturbation.screen",
        "figures.genes",
        "figures.perturbation",
        "scoring",
    ):  # these import all others
        import_module(f"g2m_interpret.{module}")

import numpy as np
import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only lose time to threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


GENES = tuple(f"Gene{number}" for number in range(24))


def _network(activation, *, genes=24, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(genes, 40), activation, nn.Linear(40, 16), activation, nn.Linear(16, 8))


@pytest.fixture(scope="session")
def network():
    """The function that makes an encoder of 24 genes with the given activation."""
    return _network


@pytest.fixture(scope="session")
def genes():
    return GENES


@pytest.fixture(scope="session")
def spots():
    """log1p expression of 90 spots in three clusters; genes 0-3 are a's, 4-7 b's, 8-11 c's."""
    generator = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 30)
    rate = np.full((90, 24), 2.0)
    for number, cluster in enumerate("abc"):
        rate[labels == cluster, 4 * number : 4 * number + 4] = 9.0
    return np.log1p(generator.poisson(rate)).astype(np.float32), labels


def _pink(images):
    """A statistic that rises with red and falls with green."""
    return {"pink": images[:, 0].mean(dim=(1, 2)) - images[:, 1].mean(dim=(1, 2))}


@pytest.fixture(scope="session")
def toy():
    """Callables of a toy world: the embedding is two sums of genes, and they tint an image of noise."""
    import pandas as pd

    weight = torch.zeros(24, 2)
    weight[:4, 0], weight[4:8, 1] = 0.1, 0.1

    class Toy:
        pink = staticmethod(_pink)

        @staticmethod
        def encode(x):
            return x @ weight

        @staticmethod
        def draw(condition, keys):
            noise = torch.stack([torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(int(k))) for k in keys])
            tint = torch.zeros(2, 3)
            tint[0, 0] = tint[1, 1] = 0.3
            return 0.1 * noise + (condition @ tint)[:, :, None, None] - 0.3

        @classmethod
        def generate(cls, condition, keys):
            with torch.no_grad():
                images = cls.draw(torch.from_numpy(condition), torch.from_numpy(keys))
            light = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            return light.permute(0, 2, 3, 1).contiguous().numpy()

        @staticmethod
        def measure(images):
            mean = images.astype(float).mean(axis=(1, 2)) / 127.5 - 1
            return pd.DataFrame({"pink": mean[:, 0] - mean[:, 1], "blue": mean[:, 2]})

        @classmethod
        def simulator(cls, genes, batch_size=64):
            from g2m_interpret.perturbation.simulator import Simulator

            return Simulator(
                genes=tuple(genes),
                encode=lambda x: cls.encode(torch.from_numpy(x)).numpy(),
                generate=cls.generate,
                measure=cls.measure,
                batch_size=batch_size,
            )

    return Toy
