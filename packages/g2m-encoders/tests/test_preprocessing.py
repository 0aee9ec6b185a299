import dataclasses
import json

import pytest
import timm
import torch

from g2m_encoders import PRESETS, ContrastiveModel, InputError, MultilevelFeatures, load_backbone
from g2m_encoders.backbones import BackboneRecord, open_backbone, rebuild_backbone
from g2m_encoders.preprocessing import own_normalisation, read_preprocessing

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def folder(tmp_path, toy):
    toy.write_uni(tmp_path / "own", model_args=toy.SMALL, mean=toy.OWN_MEAN, std=toy.OWN_STD)
    return tmp_path / "own"


def with_backbone(settings, folder, **image):
    image = dataclasses.replace(PRESETS["paper"].image, backbone=str(folder), input_size=32, **image)
    return dataclasses.replace(settings, image=image)


def test_a_folders_backbone_is_fed_as_its_makers_fed_it(folder, settings, toy):
    model = ContrastiveModel.build(with_backbone(settings, folder), toy.GENES).eval()
    x = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (toy.OWN_MEAN, toy.OWN_STD))
    assert torch.allclose(model.image.features(2 * x - 1), load_backbone(folder).eval()((x - mean) / std), atol=1e-4)
    assert (model.settings.image.mean, model.settings.image.std) == (toy.OWN_MEAN, toy.OWN_STD)
    features = MultilevelFeatures(load_backbone(folder), input_size=32)
    assert torch.allclose(features.normalize.mean.flatten(), torch.tensor(toy.OWN_MEAN))


def test_settings_that_name_a_normalisation_decide(folder, settings, toy):
    half = (0.5, 0.5, 0.5)
    model = ContrastiveModel.build(with_backbone(settings, folder, mean=half), toy.GENES)
    assert (model.settings.image.mean, model.settings.image.std) == (half, toy.OWN_STD)
    features = MultilevelFeatures(load_backbone(folder), input_size=32, mean=half)
    assert torch.allclose(features.normalize.mean.flatten(), torch.tensor(half))


def test_a_record_rebuilds_the_normalisation_too(folder, toy):
    _, record = open_backbone(folder)
    stored = BackboneRecord(**json.loads(json.dumps(dataclasses.asdict(record))))
    assert own_normalisation(rebuild_backbone(stored)) == (toy.OWN_MEAN, toy.OWN_STD)
    before = dataclasses.replace(stored, preprocessing={})  # of a model saved before it was kept
    assert own_normalisation(rebuild_backbone(before))[0] == (0.5, 0.5, 0.5)


def test_a_timm_name_brings_its_own_and_a_bare_network_imagenets(toy):
    backbone, record = open_backbone("convnext_nano.in12k_ft_in1k", pretrained=False)
    assert own_normalisation(backbone) == IMAGENET
    assert record.preprocessing["interpolation"] == "bicubic"
    assert own_normalisation(load_backbone("vit_tiny_patch16_224", pretrained=False))[0] == (0.5, 0.5, 0.5)
    assert own_normalisation(timm.models.vision_transformer.VisionTransformer(depth=1, embed_dim=24)) == IMAGENET


def test_a_configuration_without_normalisation_means_imagenets(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["pretrained_cfg"]["mean"], config["pretrained_cfg"]["std"]
    (folder / "config.json").write_text(json.dumps(config))
    assert own_normalisation(load_backbone(folder)) == IMAGENET


@pytest.mark.parametrize(
    "published", [{"mean": [0.5]}, {"mean": "0.5"}, {"std": [0.2, 0.0, 0.2]}, {"std": [1, 1, None]}]
)
def test_a_normalisation_that_is_none_is_refused_in_one_line(published, tmp_path):
    with pytest.raises(InputError, match=r"config\.json: (mean|std) is .*expected three numbers") as refusal:
        read_preprocessing(published, tmp_path / "config.json")
    assert "\n" not in str(refusal.value)


def test_a_saved_model_keeps_the_normalisation_it_was_trained_with(folder, settings, toy, tmp_path):
    model = ContrastiveModel.build(with_backbone(settings, folder), toy.GENES)
    model.save_pretrained(tmp_path / "model")
    image = json.loads((tmp_path / "model" / "config.json").read_text())["settings"]["image"]
    assert (image["mean"], image["std"]) == (list(toy.OWN_MEAN), list(toy.OWN_STD))
    assert ContrastiveModel.from_pretrained(tmp_path / "model").settings == model.settings


def test_a_model_saved_with_imagenets_numbers_keeps_them(folder, settings, toy, tmp_path):
    mean, std = IMAGENET
    ContrastiveModel.build(with_backbone(settings, folder, mean=mean, std=std), toy.GENES).save_pretrained(
        tmp_path / "old"
    )
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    del config["backbone"]["preprocessing"]  # as they were written before
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    restored = ContrastiveModel.from_pretrained(tmp_path / "old")
    assert torch.allclose(restored.image.normalize.mean.flatten(), torch.tensor(mean))
