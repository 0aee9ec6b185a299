import pytest
import timm
import torch

from g2m_encoders import MultilevelFeatures


def vit(depth: int = 12, **changes) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": depth, "num_heads": 2, "num_classes": 0}
    return timm.models.vision_transformer.VisionTransformer(**(arguments | changes))


def test_transformer_gives_patch_embedding_and_four_blocks():
    features = MultilevelFeatures(vit(), input_size=32)
    sets = features(torch.rand(2, 3, 40, 40) * 2 - 1)
    assert [tuple(s.shape) for s in sets] == [(2, 16, 24)] * 5
    assert features.channels == [24] * 5


def test_transformer_sets_are_the_tokens_after_blocks_2_5_8_11_with_the_class_token_added():
    backbone = vit().eval()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    sets = MultilevelFeatures(backbone, input_size=32)(images)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = backbone.norm_pre(backbone._pos_embed(backbone.patch_embed(((images + 1) / 2 - mean) / std)))
    expected = [x]
    for block in backbone.blocks:
        x = block(x)
        expected.append(x)
    for index, tokens in zip([0, 3, 6, 9, 12], sets, strict=True):
        assert torch.allclose(tokens, expected[index][:, 1:] + expected[index][:, :1], atol=1e-5)


def test_blocks_scale_with_depth_and_can_be_chosen():
    assert len(MultilevelFeatures(vit(depth=4), input_size=32).channels) == 5
    assert len(MultilevelFeatures(vit(), input_size=32, blocks=[0, 11]).channels) == 3


def test_registers_are_left_out_and_absent_class_tokens_not_added():
    images = torch.rand(1, 3, 32, 32)
    assert MultilevelFeatures(vit(reg_tokens=4), input_size=32)(images)[0].shape == (1, 16, 24)
    assert MultilevelFeatures(vit(class_token=False, global_pool="avg"), input_size=32)(images)[0].shape == (1, 16, 24)


@pytest.mark.parametrize(
    ("name", "channels", "sides"),
    [("test_resnet", [32, 32, 48, 192, 96], [32, 16, 8, 4, 2]), ("test_convnext", [24, 32, 48, 64], [16, 8, 4, 2])],
)
def test_convolutional_network_gives_its_stages(name, channels, sides):
    features = MultilevelFeatures(timm.create_model(name, num_classes=0), input_size=64)
    maps = features(torch.rand(2, 3, 128, 128))
    assert [m.shape[1] for m in maps] == features.channels == channels
    assert [m.shape[2] for m in maps] == sides


def test_backbone_stays_frozen_while_images_get_gradients():
    features = MultilevelFeatures(timm.create_model("test_resnet", num_classes=0), input_size=32).train()
    images = torch.rand(2, 3, 48, 48, requires_grad=True)
    sum(level.square().mean() for level in features(images)).backward()
    assert not features.backbone.training
    assert all(not p.requires_grad for p in features.parameters())
    assert float(images.grad.abs().sum()) > 0
