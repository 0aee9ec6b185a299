import json
import os

import pytest
import torch

from g2m_diffusion import DiffusionSettings, DiffusionTask, ExpressionDiffusionPipeline, replaced_folder


@pytest.fixture
def task(micro, null_embedding, batch_from):
    made = DiffusionTask.build(micro, 12, null_embedding, batch_from(0)["patch"])
    for step in range(2):
        made.step(batch_from(16 * step), 16 * step)
    return made


def test_export_holds_what_sample_draws_with(task, batch_from, null_embedding, tmp_path):
    task.export(tmp_path / "model", {"dataset": "abc"})
    loaded = ExpressionDiffusionPipeline.from_pretrained(tmp_path / "model")
    conditions, keys = batch_from(0)["embedding"], torch.arange(16) + 1_000_003 * 3
    assert torch.equal(loaded.draw(conditions, keys)[0], task.sample(conditions, seed=3))
    assert torch.equal(loaded.condition.null_embedding, null_embedding)
    assert loaded.config.steps == 4
    for a, b in zip(loaded.unet.parameters(), task.ema.module.unet.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_umask_decides_who_may_read_a_model(task, tmp_path):
    before = os.umask(0o027)
    try:
        task.export(tmp_path / "model")
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}
    assert oct((tmp_path / "model").stat().st_mode & 0o777) == "0o750"


@pytest.mark.parametrize("exchanged", [False, True])
def test_an_interrupted_replacement_leaves_the_old_or_the_new_model(task, batch_from, tmp_path, monkeypatch, exchanged):
    task.export(tmp_path / "model", {"which": "old"})
    swap = replaced_folder._exchanged

    def interrupted(*folders):
        if exchanged:
            swap(*folders)
        raise KeyboardInterrupt

    monkeypatch.setattr(replaced_folder, "_exchanged", interrupted)
    with pytest.raises(KeyboardInterrupt):
        task.export(tmp_path / "model", {"which": "new"})
    record = json.loads((tmp_path / "model/settings.json").read_text())
    assert record["provenance"] == {"which": "new" if exchanged else "old"}
    ExpressionDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_has_settings_provenance_and_a_card(task, micro, tmp_path):
    task.export(tmp_path / "model", {"dataset": "abc"})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"README.md", "condition", "model_index.json", "scheduler", "settings.json", "unet"}
    record = json.loads((tmp_path / "model/settings.json").read_text())
    assert DiffusionSettings.from_dict(record["settings"]) == micro
    assert record["provenance"] == {"dataset": "abc"}
    card = (tmp_path / "model/README.md").read_text()
    parameters = sum(weight.numel() for weight in task.denoiser.unet.parameters())
    assert f"U-Net of {parameters / 1e6:.2f} M parameters" in card
    assert '"dataset": "abc"' in card
    assert list((tmp_path / "model").rglob("*.bin")) == []  # no pickles


def test_export_replaces_what_was_there(task, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/old").touch()
    task.export(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (tmp_path / "model/old").exists()
    ExpressionDiffusionPipeline.from_pretrained(tmp_path / "model")


def test_a_failed_export_leaves_what_was_there(task, tmp_path, monkeypatch):
    task.export(tmp_path / "model")

    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("g2m_diffusion.export._model_card", full)
    with pytest.raises(OSError, match="disk full"):
        task.export(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    ExpressionDiffusionPipeline.from_pretrained(tmp_path / "model")
