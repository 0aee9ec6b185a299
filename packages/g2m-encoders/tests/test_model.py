import dataclasses

import pytest
import torch

from g2m_encoders import ContrastiveModel, InputError


@pytest.fixture
def model(settings, toy) -> ContrastiveModel:
    return ContrastiveModel.build(settings, toy.GENES).eval()


def test_same_seed_same_weights_without_touching_the_global_generator(settings, toy):
    state = torch.get_rng_state()
    first, second, third = (ContrastiveModel.build(settings, toy.GENES, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["expression.hidden.weight"], third["expression.hidden.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_both_encoders_give_unit_vectors_of_one_space(model, toy):
    expression = model.embed_expression(torch.rand(4, len(toy.GENES)))
    image = model.embed_image(torch.rand(4, 3, 32, 32) * 2 - 1)
    assert expression.shape == image.shape == (4, 16)
    assert torch.allclose(torch.cat([expression, image]).norm(dim=1), torch.ones(8), atol=1e-6)


def test_null_embedding_is_that_of_no_expression(model, toy):
    assert torch.allclose(model.null_embedding(), model.embed_expression(torch.zeros(3, len(toy.GENES)))[1], atol=1e-6)


def test_image_embedding_guides_images(model):
    images = torch.rand(2, 3, 40, 40, requires_grad=True)
    model.requires_grad_(False)
    model.embed_image(images)[:, 0].sum().backward()
    assert float(images.grad.abs().sum()) > 0


@pytest.mark.parametrize("learned", [True, False])
def test_temperature_starts_as_set_and_is_trained_only_if_asked(settings, learned, toy):
    settings = dataclasses.replace(settings, temperature=0.2, learn_temperature=learned)
    model = ContrastiveModel.build(settings, toy.GENES)
    assert float(model.temperature.detach()) == pytest.approx(0.2)
    assert ("log_scale" in dict(model.named_parameters())) is learned


def test_temperature_has_clips_lower_bound(model):
    with torch.no_grad():
        model.log_scale.fill_(9.0)
    assert float(model.temperature.detach()) == pytest.approx(0.01)


def test_panel_with_a_gene_twice_is_refused(settings, toy):
    with pytest.raises(InputError, match="twice"):
        ContrastiveModel.build(settings, [*toy.GENES, "Gene0"])


def test_alignment_knows_the_counts_of_training(model, toy):
    assert model.align(toy.GENES).counts_share is None
    model.gene_counts[:] = 1
    model.gene_counts[0] = len(toy.GENES) + 1
    assert model.align(toy.GENES[1:]).counts_share == pytest.approx(23 / 48)
