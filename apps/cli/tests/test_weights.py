import json
import time

import huggingface_hub.errors
import pytest
import timm
from safetensors.torch import save_file

from g2m_cli.errors import InputError
from g2m_cli.settings import learned
from g2m_cli.study import Study
from g2m_cli.study_settings import resolve_study
from g2m_cli.weights import Weights, check_weights, fetch_weights, gan_weights, study_weights


@pytest.fixture
def offline(monkeypatch):
    """A hub that does not answer, with nothing in its cache; gives the files that were asked for."""
    asked = []

    def refuse(repository, file, *, revision, local_files_only=False):
        asked.append((repository, file, local_files_only))
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr("g2m_encoders.hub.hf_hub_download", refuse)
    monkeypatch.setattr("g2m_encoders.hub.is_reachable", lambda: False)
    return asked


def settings_of(preset, *overrides, generators=None):
    return resolve_study(preset, seed=0, generators=generators, overrides=overrides)


def write_backbone(folder):
    folder.mkdir()
    network = timm.create_model("test_resnet", num_classes=0)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
    return folder


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        (
            "paper",
            [
                "encoders.image.backbone",
                "gan.discriminator.features",
                "sd.codes.autoencoder",
                "sd.denoiser.pretrained",
            ],
        ),
        ("base", ["encoders.image.backbone"]),
        ("tiny", []),
    ],
)
def test_a_presets_weights_are_those_of_its_stages(preset, settings):
    assert [weights.setting for weights in study_weights(settings_of(preset))] == settings


def test_all_that_is_missing_is_told_at_once_with_its_setting(offline):
    began = time.monotonic()
    with pytest.raises(InputError, match=r"^4 of 4 pretrained weights cannot be had") as refusal:
        check_weights(settings_of("paper"))
    assert time.monotonic() - began < 10
    lines = str(refusal.value).splitlines()[1:]
    assert len(lines) == 4
    expected = {
        "encoders.image.backbone": "hf-hub:MahmoodLab/UNI",
        "gan.discriminator.features": "hf-hub:1aurent/vit_base_patch16_224.owkin_pancancer",
        "sd.codes.autoencoder": "CompVis/stable-diffusion-v1-4",
        "sd.denoiser.pretrained": "CompVis/stable-diffusion-v1-4",
    }
    for line, (setting, name) in zip(lines, expected.items(), strict=True):
        assert f") {setting}, " in line
        assert f"set {setting} to a local folder" in line
        assert name in line
        assert "no connection" in line
    assert all(local for _, _, local in offline)  # a hub that does not answer is not asked for files


def test_folders_serve_without_the_hub_and_are_looked_into(offline, tmp_path):
    folder = write_backbone(tmp_path / "backbone")
    ours = [f"encoders.image.backbone={folder}", f"gan.discriminator.features={folder}"]
    check_weights(settings_of("paper", *ours, generators=["gan"]))
    assert not offline
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"2 of 2 .*\n\(1\) encoders\.image\.backbone, phase 1.*holds none of"):
        check_weights(settings_of("paper", *ours, generators=["gan"]))


def test_diffusion_folders_that_are_none_are_refused(offline, tmp_path):
    for where in (tmp_path, "/no/where"):
        with pytest.raises(InputError, match=f"{where}"):
            check_weights(settings_of("tiny", f"sd.codes.autoencoder={where}", generators=["sd"]))


def test_only_what_is_absent_is_fetched(monkeypatch):
    monkeypatch.setattr("g2m_encoders.hub.is_reachable", lambda: True)
    calls = []

    def here(online):
        calls.append(("here", online))

    def absent(online):
        calls.append(("absent", online))
        if not online:
            raise InputError("absent")

    fetch_weights(
        [
            Weights(purpose="a", name="a", setting="a", fetch=here),
            Weights(purpose="b", name="b", setting="b", fetch=absent),
        ]
    )
    assert calls == [("here", False), ("absent", False), ("absent", True)]


def test_a_diffusion_model_is_fetched_from_the_commit_that_its_configuration_has(monkeypatch, tmp_path):
    asked = []

    def serve(repository, file, *, revision, local_files_only=False):
        asked.append((file, revision))
        if file.endswith(".safetensors"):
            raise huggingface_hub.errors.EntryNotFoundError(file)
        return str(tmp_path / "snapshots" / "0123abcd" / file)

    monkeypatch.setattr("g2m_encoders.hub.hf_hub_download", serve)
    (unet,) = (
        weights for weights in study_weights(settings_of("paper")) if weights.setting == "sd.denoiser.pretrained"
    )
    assert unet.problem(online=True) == ""
    assert asked == [
        ("unet/config.json", None),
        ("unet/diffusion_pytorch_model.safetensors", "0123abcd"),
        ("unet/diffusion_pytorch_model.bin", "0123abcd"),
    ]


def test_what_has_been_trained_needs_its_first_weights_no_more(offline, tmp_path):
    settings, study = settings_of("base"), Study(tmp_path)
    with pytest.raises(InputError, match="1 of 1"):
        check_weights(settings, study)
    (study.run("encoders") / "model").mkdir(parents=True)
    record = {"settings": json.loads(json.dumps(learned(settings.encoders)))}
    (study.run("encoders") / "provenance.json").write_text(json.dumps(record))
    check_weights(settings, study)
    with pytest.raises(InputError, match="1 of 1"):  # it would be trained anew
        check_weights(settings_of("base", "encoders.batch_size=64"), study)


def test_a_download_that_breaks_off_is_told_beside_the_others(monkeypatch):
    monkeypatch.setattr("g2m_encoders.hub.is_reachable", lambda: True)

    class ProtocolError(Exception):
        """Of a client library, and no error of the system."""

    def fetch(online):
        if online:
            raise ProtocolError("peer closed connection\nand a trace")
        raise InputError("absent")

    with pytest.raises(InputError, match=r"fetching 'uni' broke off \(peer closed connection\); the same command"):
        fetch_weights([Weights(purpose="phase 1's", name="uni", setting="image.backbone", fetch=fetch)])


def test_other_data_need_the_first_weights_again(offline, tmp_path):
    settings, study = settings_of("base"), Study(tmp_path)
    (study.run("encoders") / "model").mkdir(parents=True)
    record = {"settings": json.loads(json.dumps(learned(settings.encoders))), "parents": {"dataset": "of before"}}
    (study.run("encoders") / "provenance.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="1 of 1"):
        check_weights(settings, study)


def test_a_programming_error_is_not_taken_for_missing_weights():
    def broken(online):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        fetch_weights([Weights(purpose="a", name="a", setting="a", fetch=broken)])


def test_the_encoders_own_network_needs_nothing():
    assert gan_weights(settings_of("base").gan.model) == []
    assert study_weights(settings_of("tiny")) == []
