import json
import warnings

import huggingface_hub.errors
import pytest
import torch

from g2m_encoders import InputError, load_backbone
from g2m_encoders.backbones import fetch_backbone, fingerprint, open_backbone, rebuild_backbone


@pytest.mark.parametrize("layer_scale_in_config", [True, False])
def test_local_folder_gives_the_weights_it_holds(tmp_path, layer_scale_in_config, toy):
    original = toy.write_uni(tmp_path / "uni", model_args=toy.SMALL, layer_scale_in_config=layer_scale_in_config)
    backbone, record = open_backbone(tmp_path / "uni")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(backbone.eval()(x), original(x))
    assert backbone(torch.randn(1, 3, 48, 48)).shape == (1, 24)  # other sizes than trained on
    assert (record.licence, record.architecture) == ("cc-by-nc-nd-4.0", "vit_large_patch16_224")
    assert record.sha256 == fingerprint(backbone)
    assert rebuild_backbone(record).state_dict().keys() == backbone.state_dict().keys()


def test_classifier_of_a_local_folder_is_left_out(tmp_path, toy):
    original = toy.write_uni(tmp_path / "uni", model_args=toy.SMALL, with_head=True)
    x = torch.randn(2, 3, 32, 32)
    features = original.forward_head(original.forward_features(x), pre_logits=True)
    assert torch.equal(load_backbone(tmp_path / "uni").eval()(x), features)


@pytest.mark.slow
def test_full_size_uni_layout_loads_from_disk(tmp_path, toy):
    original = toy.write_uni(tmp_path / "uni", model_args={})
    assert sum(p.numel() for p in original.parameters()) == 303_350_784
    x = torch.randn(1, 3, 224, 224)
    backbone = load_backbone(tmp_path / "uni").eval()
    assert backbone.num_features == 1024
    assert torch.equal(backbone(x), original(x))


def test_random_weights_of_a_timm_name_follow_the_seed():
    torch.manual_seed(5)
    first = fingerprint(load_backbone("test_resnet", pretrained=False))
    torch.manual_seed(5)
    assert fingerprint(load_backbone("test_resnet", pretrained=False)) == first
    assert fingerprint(load_backbone("test_resnet", pretrained=False)) != first


def test_misspelt_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        load_backbone("resnt18")


def test_path_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="neither a timm model nor an existing folder"):
        load_backbone("weights/uni")


def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, toy):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    config = json.loads((tmp_path / "uni/config.json").read_text())
    config["model_args"]["embed_dim"] = 48
    (tmp_path / "uni/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="weights and architecture disagree, first at") as refusal:
        load_backbone(tmp_path / "uni")
    assert "\n" not in str(refusal.value)


def test_damaged_weights_are_refused(tmp_path, toy):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    file = tmp_path / "uni/model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read .* fetch it again"):
        load_backbone(tmp_path / "uni")


def test_folder_without_configuration_or_weights_is_refused(tmp_path, toy):
    with pytest.raises(InputError, match=r"no config\.json"):
        load_backbone(tmp_path)
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    (tmp_path / "uni/model.safetensors").unlink()
    with pytest.raises(InputError, match="holds none of"):
        load_backbone(tmp_path / "uni")


def fake_hub(monkeypatch, answer):
    monkeypatch.setattr("g2m_encoders.hub.hf_hub_download", answer)


def test_gated_backbone_says_what_to_do(monkeypatch):
    def refuse(*_, **__):
        response = type("Response", (), {"headers": {}, "status_code": 403, "request": None, "text": ""})()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raise huggingface_hub.errors.GatedRepoError("Access to model is restricted", response=response)

    fake_hub(monkeypatch, refuse)
    with pytest.raises(InputError) as refusal:
        load_backbone("hf-hub:MahmoodLab/UNI")
    message = str(refusal.value)
    for hint in ("hf-hub:MahmoodLab/UNI", "request access at", "hf auth login", "local folder"):
        assert hint in message
    assert "\n" not in message


def test_unreachable_hub_says_what_to_do(monkeypatch):
    def refuse(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("Cannot find the file\nand more lines")

    fake_hub(monkeypatch, refuse)
    with pytest.raises(InputError, match=r"no connection to huggingface\.co.*local folder") as refusal:
        load_backbone("hf-hub:MahmoodLab/UNI")
    assert "\n" not in str(refusal.value)


def test_hub_id_records_its_commit(monkeypatch, tmp_path, toy):
    toy.write_uni(tmp_path / "0123abcd", model_args=toy.SMALL)
    asked = []

    def serve(repository, file, *, revision, local_files_only=False):
        asked.append((repository, file, revision))
        if not (tmp_path / "0123abcd" / file).is_file():
            raise huggingface_hub.errors.EntryNotFoundError(file)
        return str(tmp_path / "0123abcd" / file)

    fake_hub(monkeypatch, serve)
    _, record = open_backbone("hf-hub:MahmoodLab/UNI@main")
    assert record.revision == "0123abcd"
    assert record.licence == "cc-by-nc-nd-4.0"
    assert asked[0] == ("MahmoodLab/UNI", "config.json", "main")
    assert asked[-1] == ("MahmoodLab/UNI", "model.safetensors", "0123abcd")


def test_cached_weights_serve_without_a_connection(monkeypatch, tmp_path, toy):
    toy.write_uni(tmp_path / "0123abcd", model_args=toy.SMALL)
    (tmp_path / "0123abcd/README.md").unlink()  # never fetched

    def serve(_repository, file, *, revision, local_files_only=False):
        if not (tmp_path / "0123abcd" / file).is_file():
            raise huggingface_hub.errors.LocalEntryNotFoundError(file)
        return str(tmp_path / "0123abcd" / file)

    fake_hub(monkeypatch, serve)
    _, record = open_backbone("hf-hub:MahmoodLab/UNI")
    assert (record.revision, record.licence) == ("0123abcd", None)
    (tmp_path / "0123abcd/model.safetensors").unlink()
    with pytest.raises(InputError, match="no connection"):
        open_backbone("hf-hub:MahmoodLab/UNI")


def test_whoever_asks_is_told_which_setting_to_change(monkeypatch):
    def refuse(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline")

    fake_hub(monkeypatch, refuse)
    for ask in (load_backbone, fetch_backbone):
        with pytest.raises(InputError, match=r"set gan\.discriminator\.features to a local folder"):
            ask("hf-hub:owner/vit", setting="gan.discriminator.features")
    with pytest.raises(InputError, match=r"set encoders\.image\.pretrained to false"):
        fetch_backbone("convnext_nano.in12k_ft_in1k", setting="encoders.image.backbone")


def test_fetching_brings_the_files_that_loading_reads(monkeypatch, tmp_path):
    asked = []

    def serve(repository, file, *, revision, local_files_only=False):
        asked.append((repository, file, local_files_only))
        return str(tmp_path / file)

    fake_hub(monkeypatch, serve)
    fetch_backbone("convnext_nano.in12k_ft_in1k", online=False)
    assert asked == [("timm/convnext_nano.in12k_ft_in1k", "model.safetensors", True)]
    with pytest.raises(InputError, match="publishes no weights"):
        fetch_backbone("beit3_giant_patch14_224")
    with pytest.raises(InputError, match="Invalid pretrained tag"):
        fetch_backbone("vit_tiny_patch16_224.none")


def test_a_folder_is_looked_at_without_building_its_network(tmp_path, toy):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    fetch_backbone(tmp_path / "uni")
    file = tmp_path / "uni/model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        fetch_backbone(tmp_path / "uni")
    file.unlink()
    with pytest.raises(InputError, match="holds none of"):
        fetch_backbone(tmp_path / "uni")
