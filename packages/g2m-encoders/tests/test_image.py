import dataclasses

import pytest
import timm
import torch

from g2m_encoders.config import PRESETS
from g2m_encoders.image import ImageEncoder, Normalize, resize


def build(frozen: bool) -> ImageEncoder:
    torch.manual_seed(0)
    settings = dataclasses.replace(PRESETS["tiny"].image, input_size=32, frozen=frozen)
    return ImageEncoder(settings, timm.create_model("test_resnet", num_classes=0), embedding_dim=8)


def test_resize_by_two_averages_areas():
    images = torch.rand(2, 3, 8, 8)
    assert torch.allclose(resize(images, 4), images.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2)), atol=1e-6)


def test_normalize_centres_the_mean_colour_at_zero():
    mean, std = (0.2, 0.4, 0.6), (0.1, 0.2, 0.3)
    image = (torch.tensor(mean) * 2 - 1).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    normalize = Normalize(4, mean, std)
    assert torch.allclose(normalize(image), torch.zeros(1, 3, 4, 4), atol=1e-6)
    assert torch.allclose(normalize(torch.ones(1, 3, 4, 4))[0, :, 0, 0], torch.tensor([8.0, 3.0, 4 / 3]))


@pytest.mark.parametrize("size", [32, 48, 20])
def test_images_of_any_size_give_unit_vectors(size):
    embedding = build(frozen=True)(torch.rand(3, 3, size, size) * 2 - 1)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3), atol=1e-6)


def test_frozen_backbone_neither_drifts_nor_learns():
    encoder = build(frozen=True).train()
    before = {k: v.clone() for k, v in encoder.backbone.state_dict().items()}
    encoder(torch.rand(4, 3, 32, 32)).sum().backward()
    assert not encoder.backbone.training
    assert all(p.grad is None for p in encoder.backbone.parameters())
    assert encoder.head.project.weight.grad is not None
    assert all(torch.equal(before[k], v) for k, v in encoder.backbone.state_dict().items())


def test_frozen_backbone_passes_gradients_to_images():
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    build(frozen=True)(images)[:, 0].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_frozen_backbone_keeps_nothing_for_a_backward_pass_without_need():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        build(frozen=True)(torch.rand(2, 3, 32, 32))
    assert all(len(shape) < 4 for shape in kept)


def test_trainable_backbone_learns():
    encoder = build(frozen=False).train()
    encoder(torch.rand(4, 3, 32, 32))[:, 0].sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
