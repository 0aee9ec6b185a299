"""Shapes and types in signatures are checked while tests run; a small encoder and clusters that any test can use."""

from importlib import import_module

from jaxtyping import install_import_hook

with install_import_hook("g2m_interpret", "beartype.beartype"):
    for module in ("attribution.pairs", "enrichment.prerank", "enrichment.tables", "scoring"):
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
