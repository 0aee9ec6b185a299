import dataclasses
import json
import os

import pytest
import torch
from safetensors import safe_open

from g2m_encoders import ContrastiveModel, ContrastiveTask, InputError, replaced_folder


def outputs(model, toy):
    expression = torch.linspace(0, 3, 2 * len(toy.GENES)).view(2, -1)
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    return model.embed_expression(expression), model.embed_image(images)


def saved_keys(directory) -> set[str]:
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        return set(file.keys())


def test_trained_backbone_travels_with_the_model(settings, tmp_path, toy):
    model = ContrastiveModel.build(settings, toy.GENES).eval()
    model.gene_counts[:] = torch.arange(len(toy.GENES))
    model.save_pretrained(tmp_path / "model", provenance={"seed": 3})
    restored = ContrastiveModel.from_pretrained(tmp_path / "model")
    assert all(torch.equal(a, b) for a, b in zip(outputs(model, toy), outputs(restored, toy), strict=True))
    assert restored.genes == toy.GENES
    assert restored.settings == settings
    assert torch.equal(restored.gene_counts, model.gene_counts)
    assert not restored.training
    assert json.loads((tmp_path / "model/config.json").read_text())["provenance"] == {"seed": 3}
    assert any(key.startswith("image.backbone.") for key in saved_keys(tmp_path / "model"))
    assert {p.name for p in tmp_path.iterdir()} == {"model"}


def frozen_uni(settings, folder, toy) -> ContrastiveModel:
    image = dataclasses.replace(settings.image, backbone=str(folder), pretrained=True, frozen=True)
    return ContrastiveModel.build(dataclasses.replace(settings, image=image), toy.GENES).eval()


def test_frozen_pretrained_backbone_is_referenced_not_copied(settings, tmp_path, toy):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    model = frozen_uni(settings, tmp_path / "uni", toy)
    model.save_pretrained(tmp_path / "model")
    assert not any(key.startswith("image.backbone.") for key in saved_keys(tmp_path / "model"))
    restored = ContrastiveModel.from_pretrained(tmp_path / "model")
    assert all(torch.equal(a, b) for a, b in zip(outputs(model, toy), outputs(restored, toy), strict=True))
    card = (tmp_path / "model/README.md").read_text()
    assert "license: cc-by-nc-nd-4.0" in card
    assert "referenced, not included" in card


def test_referenced_backbone_may_move_but_not_change(settings, tmp_path, toy):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    frozen_uni(settings, tmp_path / "uni", toy).save_pretrained(tmp_path / "model")
    (tmp_path / "uni").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="neither a timm model nor an existing folder"):
        ContrastiveModel.from_pretrained(tmp_path / "model")
    ContrastiveModel.from_pretrained(tmp_path / "model", backbone=tmp_path / "moved")
    toy.write_uni(tmp_path / "other", model_args=toy.SMALL | {"num_heads": 4, "depth": 1})
    with pytest.raises(InputError, match="has other weights"):
        ContrastiveModel.from_pretrained(tmp_path / "model", backbone=tmp_path / "other")


def test_saving_again_replaces_an_earlier_model_but_nothing_else(settings, tmp_path, toy):
    model = ContrastiveModel.build(settings, toy.GENES)
    model.save_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "model", provenance={"run": 2})
    assert json.loads((tmp_path / "model/config.json").read_text())["provenance"] == {"run": 2}
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("precious")
    with pytest.raises(InputError, match="is not an encoder model"):
        model.save_pretrained(tmp_path / "thesis")
    assert (tmp_path / "thesis/chapter.tex").read_text() == "precious"


def test_failed_saving_leaves_nothing_behind(settings, tmp_path, toy):
    model = ContrastiveModel.build(settings, toy.GENES)
    with pytest.raises(TypeError):
        model.save_pretrained(tmp_path / "model", provenance={"not": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model.safetensors", lambda f: f.write_bytes(f.read_bytes()[:500]), "is damaged"),
        ("model.safetensors", lambda f: f.unlink(), r"model\.safetensors is missing"),
        ("genes.txt", lambda f: f.write_text("\n".join(reversed(f.read_text().split()))), "not the panel"),
        ("config.json", lambda f: f.write_text("{"), "not valid JSON"),
        ("config.json", lambda f: f.write_text('{"format": "g2m-encoders/9"}'), "this version reads"),
    ],
)
def test_damaged_folder_is_refused_naming_the_file(settings, tmp_path, file, damage, message, toy):
    ContrastiveModel.build(settings, toy.GENES).save_pretrained(tmp_path / "model")
    damage(tmp_path / "model" / file)
    with pytest.raises(InputError, match=message) as refusal:
        ContrastiveModel.from_pretrained(tmp_path / "model")
    assert file in str(refusal.value)


def test_group_may_read_what_the_umask_allows(settings, tmp_path, toy):
    before = os.umask(0o027)
    try:
        ContrastiveModel.build(settings, toy.GENES).save_pretrained(tmp_path / "model")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert set(modes.values()) == {0o640}, modes
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("exchanged", [False, True])
def test_an_interrupted_replacement_leaves_the_old_or_the_new_model(settings, tmp_path, monkeypatch, toy, exchanged):
    old, new = (ContrastiveModel.build(settings, toy.GENES, seed=seed) for seed in (0, 1))
    old.save_pretrained(tmp_path / "model")
    swap = replaced_folder._exchanged

    def interrupted(*folders):
        if exchanged:
            swap(*folders)
        raise KeyboardInterrupt

    monkeypatch.setattr(replaced_folder, "_exchanged", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.save_pretrained(tmp_path / "model")
    expected, found = (new if exchanged else old), ContrastiveModel.from_pretrained(tmp_path / "model")
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in expected.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("frozen", [True, False])
def test_expression_side_needs_no_backbone(settings, tmp_path, toy, frozen):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    image = dataclasses.replace(settings.image, backbone=str(tmp_path / "uni"), pretrained=True, frozen=frozen)
    model = ContrastiveModel.build(dataclasses.replace(settings, image=image), toy.GENES).eval()
    model.gene_counts[:] = 2
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "uni").rename(tmp_path / "elsewhere")
    alone = ContrastiveModel.from_pretrained(tmp_path / "model", image=False)
    assert not any(key.startswith("image.") for key in alone.state_dict())
    expression = torch.rand(3, len(toy.GENES))
    assert torch.equal(alone.embed_expression(expression), model.embed_expression(expression))
    assert torch.equal(alone.gene_counts, model.gene_counts)
    assert alone.settings == model.settings
    for refused in (
        lambda: alone.embed_image(torch.zeros(1, 3, 32, 32)),
        lambda: alone.save_pretrained(tmp_path / "copy"),
        lambda: ContrastiveTask(settings, alone),
    ):
        with pytest.raises(InputError, match=r"loaded without its image encoder \(image=False\)"):
            refused()
