"""`g2m eval images`: what is drawn, what is compared under which protocol, what is not done twice."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import zarr

import g2m_data
from g2m_cli.commands.eval_images import images as command
from g2m_cli.errors import InputError
from g2m_cli.evaluation import image_extractors, images
from g2m_cli.evaluation.image_extractors import OpenedExtractor, extractor_identity, took_part
from g2m_cli.generation import generated_record
from g2m_cli.models import drawn_models
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study
from g2m_eval import EvaluationSettings
from g2m_eval.extractors.function import FunctionExtractor

SETTINGS = RunSettings(model=EvaluationSettings(kernel_subsets=3))


class FakeSplit:
    """A split of a dataset: patches of noise about a colour of their own."""

    patch_px = 16

    def __init__(self, split, count):
        self.obs = pd.DataFrame(index=[f"{split}:{number}" for number in range(count)])
        random = np.random.default_rng(len(split))
        self._patches = random.integers(60, 200, (count, 16, 16, 3), dtype=np.uint8)

    def __len__(self):
        return len(self.obs)

    def patches(self, rows):
        return self._patches[rows]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of two trained models whose drawing, dataset and network are stand-ins; counts what is drawn and seen."""
    study = Study(tmp_path / "study")
    for run, settings in (("encoders", {}), ("gan", {"discriminator": {"features": "encoder"}}), ("tissue", {})):
        folder = study.run(run)
        (folder / "model").mkdir(parents=True)
        (folder / "provenance.json").write_text(json.dumps({"id": run, "settings": settings}))
    (study.run("encoders") / "model" / "config.json").write_text(
        json.dumps({"backbone": {"name": "hf-hub:lab/uni", "pretrained": True, "sha256": "ab" * 32}})
    )
    study.dataset.mkdir()
    (study.dataset / "dataset.json").write_text(json.dumps({"id": "d1"}))
    splits = {"test": FakeSplit("test", 12), "train": FakeSplit("train", 90)}
    calls = SimpleNamespace(drawn=[], seen=0)

    def generate(model, embeddings, wanted, *, precision="auto"):
        for folder, request in wanted.items():
            calls.drawn.append(folder.name)
            spots = np.repeat(splits["test"].obs.index.to_numpy(), len(request.seeds))
            side = 8
            folder.mkdir(parents=True)
            array = zarr.create_array(folder / "images.zarr", shape=(len(spots), side, side, 3), dtype="uint8")
            array[:] = np.random.default_rng(len(calls.drawn)).integers(50, 180, array.shape, dtype=np.uint8)
            pd.DataFrame({"spot": spots}).to_parquet(folder / "index.parquet")
            record = {**generated_record(model, embeddings, request), "timing": {"seconds_per_1000_images": 2.0}}
            (folder / "provenance.json").write_text(json.dumps(record))

    def see(batch):
        calls.seen += len(batch)
        return batch.reshape(len(batch), -1, 3)[:, ::9].mean(axis=1)

    network = OpenedExtractor(extractor=FunctionExtractor("mean colour", see), resize="")
    monkeypatch.setattr(images, "generate", generate)
    monkeypatch.setattr(images, "open_extractor", lambda *_, **__: network)
    monkeypatch.setattr(g2m_data, "open_dataset", lambda _, split: splits[split])
    return SimpleNamespace(study=study, calls=calls)


def request(*models, **changes):
    return images.ImagesRequest(models=models or ("gan", "tissue-w1"), seeds=3, **changes)


def test_every_model_is_drawn_and_scored_against_both_references(study):
    out = images.score_images(study.study, request(), SETTINGS)
    assert study.calls.drawn == ["gan-x3", "tissue-w1-x3"]
    found = json.loads((out / "images.json").read_text())
    protocols = [d["protocol"] for d in found["models"]["tissue-w1"]["distances"]]
    assert [(p["n_generated"], p["n_reference"], p["resolution"]) for p in protocols] == [(36, 12, 8), (36, 36, 8)]
    assert {p["reference"] for p in protocols} == {
        "real patches of the test spots",
        "random tissue patches of the training sections",
    }
    assert len({p["reference_hash"] for p in protocols}) == 2
    assert protocols == [d["protocol"] for d in found["models"]["gan"]["distances"]]
    table = pd.read_csv(out / "table1.csv")
    assert table["generator"].tolist() == ["StyleGAN-G", "tissue (w = 1)", "real training patches"]
    assert not (table.loc[:1, [c for c in table if c[:2] in ("A:", "B:")]] == "–").any(axis=None)
    assert json.loads((out / "provenance.json").read_text())["parents"]["dataset"] == "d1"
    assert "A: 36 generated and 12 real patches of the test spots" in images.describe_images(out)


def test_nothing_is_done_twice_and_a_changed_request_computes_no_feature_again(study):
    out = images.score_images(study.study, request(), SETTINGS)
    seen, written = study.calls.seen, (out / "images.json").stat().st_mtime_ns
    assert seen == 36 + 36 + 12 + 36  # two models, two references, each patch once
    images.score_images(study.study, request(), SETTINGS)
    assert (out / "images.json").stat().st_mtime_ns == written
    images.score_images(study.study, request(references=("test",)), SETTINGS)
    assert (out / "images.json").stat().st_mtime_ns != written
    assert study.calls.seen == seen
    assert study.calls.drawn == ["gan-x3", "tissue-w1-x3"]
    assert not list(out.parent.glob(".images*"))


def test_images_of_an_older_model_are_set_aside_and_drawn_again(study):
    images.score_images(study.study, request("gan"), SETTINGS)
    (study.study.run("gan") / "provenance.json").write_text(json.dumps({"id": "retrained", "settings": {}}))
    images.score_images(study.study, request("gan"), SETTINGS)
    assert study.calls.drawn == ["gan-x3"] * 2
    assert list((study.study.root / "superseded").glob("*-gan-x3"))


def test_a_folder_of_something_else_is_left_alone(study, tmp_path):
    images.score_images(study.study, request("gan"), SETTINGS)
    (study.study.root / "images" / "notes.txt").write_text("keep")
    drawn = list(study.calls.drawn)
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        images.score_images(study.study, request("tissue-w1"), SETTINGS)
    with pytest.raises(InputError, match="is a file"):
        images.score_images(study.study, request("gan"), SETTINGS, out=study.study.dataset / "dataset.json" / "x")
    assert (study.study.root / "images" / "notes.txt").read_text() == "keep"
    assert study.calls.drawn == drawn


def test_what_is_replaced_is_set_aside_and_a_damaged_folder_is_made_again(study):
    folder = images.score_images(study.study, request("gan"), SETTINGS)
    before = (folder / "images.json").read_text()
    images.score_images(study.study, request("tissue-w1"), SETTINGS)
    assert [path.read_text() for path in study.study.root.glob("superseded/*-images/images.json")] == [before]
    (folder / "images.json").unlink()
    images.score_images(study.study, request("tissue-w1"), SETTINGS)
    assert (folder / "images.json").is_file()


def test_the_yardstick_of_real_patches_stands_beside_every_model(study):
    folder = images.score_images(study.study, request("gan", "tissue-w1"), SETTINGS)
    models = json.loads((folder / "images.json").read_text())["models"]
    for name in ("gan", "tissue-w1"):
        assert [entry["protocol"]["reference"] for entry in models[name]["distances_real"]] == [
            "real patches of the test spots"
        ]


def test_many_images_a_spot_are_no_generators_of_a_report(study, capsys):
    images.score_images(study.study, request(), SETTINGS)
    with pytest.raises(InputError, match="no images of the study's models"):
        drawn_models(study.study)
    assert "left out" not in capsys.readouterr().err


def test_models_are_those_that_were_trained_at_the_strengths_that_were_drawn(study):
    assert images.models_of(study.study) == ["gan", "tissue-w1"]
    study.study.generated("tissue-w3").mkdir(parents=True)
    study.study.generated("tissue-w3-shuffled").mkdir()
    study.study.generated("tissue-w3-x4").mkdir()
    assert images.models_of(study.study) == ["gan", "tissue-w3"]
    assert images.check_models(study.study, ["tissue-w7.5"]) == ("tissue-w7.5",)
    assert request().drawing("tissue-w7.5").guidance == 7.5
    for unknown in ("sd-w1", "gan-w2", "tissue", "tissue-wx"):
        with pytest.raises(InputError, match=f"--models {unknown}: no such model"):
            images.check_models(study.study, [unknown])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "val"}, "expected test, train"),
        ({"weights": "inception.pth"}, "add --extractor inception"),
        ({"models": "gann"}, "no such model"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_drawn(study, options, message):
    asked = {"models": "gan", "seeds": 3, "reference": "test", "weights": None} | options
    with pytest.raises(InputError, match=message) as caught:
        command(study.study.root, **asked)
    assert "\n" not in str(caught.value)
    assert study.calls.drawn == []


def backbone(**known):
    network = FunctionExtractor("uni", lambda batch: batch)
    return OpenedExtractor(extractor=network, resize="", **known)


def test_a_backbone_of_the_encoders_or_of_the_discriminator_took_part(study):
    uni = backbone(backbone="hf-hub:lab/uni@main", sha256="ab" * 32)
    other = backbone(backbone="hf-hub:lab/phikon", sha256="cd" * 32)
    copy = backbone(backbone="/data/uni", sha256="ab" * 32)  # the same weights under another name
    renamed = backbone(backbone="hf-hub:lab/uni", sha256="00" * 32)  # other weights under the same name
    assert [took_part(study.study, "gan", n) for n in (uni, other, copy, renamed)] == [True, False, True, False]
    (study.study.run("gan") / "provenance.json").write_text(
        json.dumps({"id": "g", "settings": {"discriminator": {"features": "hf-hub:lab/phikon"}}})
    )
    assert took_part(study.study, "gan", other)
    assert not took_part(study.study, "tissue-w1", other)
    assert not took_part(study.study, "gan", backbone())  # the metrics' own, or Inception


def test_a_local_backbone_is_known_by_its_content_and_composed_with_its_own_normalisation(tmp_path):
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("test_resnet", num_classes=0).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "model.safetensors")
    own = {"mean": [0.7, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "input_size": [3, 96, 96], "interpolation": "bicubic"}

    def write(**changes):
        config = {"architecture": "test_resnet", "pretrained_cfg": own | changes}
        (tmp_path / "config.json").write_text(json.dumps(config))

    write()
    before = extractor_identity(str(tmp_path), None)
    opened = image_extractors.open_backbone_extractor(str(tmp_path), "cpu")
    batch = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    import torch

    mean, std = (torch.tensor(own[key]).view(3, 1, 1) for key in ("mean", "std"))
    expected = network((torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std).detach().numpy()
    np.testing.assert_allclose(opened.extractor.features(batch), expected, rtol=1e-3, atol=1e-4)
    assert opened.extractor.name.startswith("test_resnet 96px ")
    assert opened.resize == "96 px (bicubic with antialiasing)"
    write(mean=[0.5, 0.5, 0.5])
    # features are kept under this name: the same weights fed otherwise are another network
    assert image_extractors.open_backbone_extractor(str(tmp_path), "cpu").extractor.name != opened.extractor.name
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", "changed": 1}))
    assert extractor_identity(str(tmp_path), None) != before
