import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from g2m_encoders import chance_loss, contrastive_loss, floor_loss, retrieval_at_k
from g2m_encoders.loss import floor_loss_at


def simplex(n: int) -> torch.Tensor:
    corners = torch.eye(n, dtype=torch.float64) - 1 / n
    return torch.nn.functional.normalize(corners, dim=1)


def test_bounds_at_the_papers_batch():
    assert chance_loss(128) == pytest.approx(4.852, abs=5e-4)
    assert floor_loss(128) == pytest.approx(3.858, abs=5e-4)


@pytest.mark.parametrize(("n", "temperature"), [(2, 1.0), (16, 0.5), (128, 1.0), (64, 0.07)])
def test_floor_is_reached_on_a_regular_simplex(n, temperature):
    corners = simplex(n)
    assert float(contrastive_loss(corners, corners, temperature)) == pytest.approx(floor_loss(n, temperature))


def test_chance_is_what_collapsed_embeddings_get():
    collapsed = torch.ones(32, 4) / 2
    assert float(contrastive_loss(collapsed, collapsed, 0.1)) == pytest.approx(math.log(32), rel=1e-6)


@given(st.integers(2, 20), st.integers(0, 2**31 - 1), st.floats(0.05, 2.0))
def test_no_unit_vectors_beat_the_floor(n, seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.nn.functional.normalize(torch.randn(n, 6, generator=generator).double(), dim=1) for _ in range(2))
    loss = float(contrastive_loss(a, b, temperature))
    assert loss >= floor_loss(n, temperature) - 1e-9
    assert loss == pytest.approx(float(contrastive_loss(b, a, temperature)))


def test_loss_matches_its_definition():
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 5, 3)))
    similarity = np.exp(a @ b.T / 0.3)
    rows = -np.log(np.diag(similarity) / similarity.sum(axis=1)).mean()
    columns = -np.log(np.diag(similarity) / similarity.sum(axis=0)).mean()
    assert float(contrastive_loss(torch.tensor(a), torch.tensor(b), 0.3)) == pytest.approx((rows + columns) / 2)


@given(st.integers(2, 40), st.integers(1, 10), st.integers(1, 7))
def test_retrieval_matches_sorting_whatever_the_chunk(n, k, chunk):
    rng = np.random.default_rng(n * 100 + k)
    a, b = rng.normal(size=(2, n, 4))
    order = np.argsort(-(a @ b.T), axis=1)[:, :k]
    expected = np.mean([i in row for i, row in enumerate(order)])
    assert retrieval_at_k(torch.tensor(a), torch.tensor(b), k, chunk=chunk) == pytest.approx(expected)


def test_collapsed_embeddings_retrieve_nothing():
    collapsed = torch.ones(20, 3)
    assert retrieval_at_k(collapsed, collapsed, 5) == 0


def test_floor_of_a_temperature_on_its_device_is_the_floor():
    assert float(floor_loss_at(128, torch.tensor(0.07))) == pytest.approx(floor_loss(128, 0.07), rel=1e-5)
