import numpy as np
import pytest
import torch

from g2m_interpret import keys
from g2m_interpret.errors import InputError
from g2m_interpret.images.through_generator import attribute_images


def noise_keys(spots, seeds):
    return np.arange(spots * seeds).reshape(spots, seeds)


@pytest.fixture
def found(spots, genes, toy):
    expression = spots[0][:10]
    return attribute_images(
        expression, genes, noise_keys(10, 3), encode=toy.encode, draw=toy.draw, statistics=toy.pink, batch_size=7
    )


def test_a_linear_world_gives_the_closed_form(found, spots):
    expression = spots[0][:10].astype(float)
    gradient = np.zeros(24)
    gradient[:4], gradient[4:8] = 0.03, -0.03  # 0.1 into the embedding, 0.3 into the colour
    np.testing.assert_allclose(found.layers[keys.GRADIENT][0], gradient, atol=1e-6)
    doubling = gradient * (1 - np.exp(-expression)) * np.log(2)
    np.testing.assert_allclose(found.X[0], doubling.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.layers[keys.KNOCKOUT][0], -(gradient * expression).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        found.layers[keys.STANDARD_ERROR][0], doubling.std(axis=0, ddof=1) / np.sqrt(10), atol=1e-6
    )


def test_small_changes_are_predicted(found, spots, toy):
    expression, flat = spots[0][:10], torch.arange(30)
    edited = np.log1p(np.expm1(expression) * np.where(np.arange(24) < 4, 1.02, 1.0)).astype(np.float32)

    def pink(profiles):
        condition = toy.encode(torch.from_numpy(profiles)).repeat_interleave(3, dim=0)
        return float(toy.pink(toy.draw(condition, flat))["pink"].mean())

    assert pink(edited) - pink(expression) == pytest.approx(found.X[0, :4].sum() * np.log2(1.02), rel=0.02)


def test_batches_change_nothing(found, spots, genes, toy):
    whole = attribute_images(
        spots[0][:10], genes, noise_keys(10, 3), encode=toy.encode, draw=toy.draw, statistics=toy.pink, batch_size=100
    )
    np.testing.assert_allclose(whole.X, found.X, rtol=1e-5, atol=1e-8)
    assert whole.obs["deviation"].iloc[0] == pytest.approx(found.obs["deviation"].iloc[0], rel=1e-5)


def test_sizes_that_do_not_fit_are_refused(spots, genes, toy):
    with pytest.raises(InputError, match="do not fit"):
        attribute_images(
            spots[0][:10], genes[:-1], noise_keys(10, 3), encode=toy.encode, draw=toy.draw, statistics=toy.pink
        )
