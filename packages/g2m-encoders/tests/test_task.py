import copy
import dataclasses

import numpy as np
import pytest
import torch

from g2m_encoders import PRESETS, ContrastiveModel, ContrastiveTask, chance_loss, floor_loss


def start(settings, toy) -> ContrastiveTask:
    task = ContrastiveTask(settings, ContrastiveModel.build(settings, toy.GENES))
    task.prepare(toy.PlainAccelerator())
    return task


def train(task, steps) -> list[float]:
    return [float(task.step(batch, seen)["loss"]) for seen, batch in steps]


def test_losses_do_not_depend_on_the_global_generator(settings, pairs, toy):
    torch.manual_seed(1)
    first = train(start(settings, toy), pairs.batches(16, 3))
    torch.manual_seed(2)
    assert train(start(settings, toy), pairs.batches(16, 3)) == first


def test_resuming_continues_bit_for_bit(settings, pairs, toy):
    settings = dataclasses.replace(
        settings, optimizer=dataclasses.replace(settings.optimizer, decay="cosine", warmup_images=64), total_images=160
    )
    uninterrupted = start(settings, toy)
    expected = train(uninterrupted, pairs.batches(16, 10))

    stopped = start(settings, toy)
    train(stopped, list(pairs.batches(16, 10))[:4])
    saved = copy.deepcopy((stopped.model.state_dict(), stopped.optimizer.state_dict(), stopped.state_dict()))
    resumed = start(settings, toy)
    resumed.model.load_state_dict(saved[0])
    resumed.optimizer.load_state_dict(saved[1])
    resumed.load_state_dict(saved[2])
    assert train(resumed, list(pairs.batches(16, 10))[4:]) == expected[4:]
    final, reference = resumed.model.state_dict(), uninterrupted.model.state_dict()
    assert all(torch.equal(final[k], reference[k]) for k in reference)
    assert torch.equal(resumed.gene_counts, uninterrupted.gene_counts)


def test_training_finds_pairs_it_has_not_seen(settings, pairs, toy):
    task = start(settings, toy)
    unseen = toy.ToyPairs(96, toy.GENES, seed=1)
    batches = [unseen.batch(np.arange(i, i + 32)) for i in (0, 32, 64)]
    before = task.evaluate(batches)
    train(task, pairs.batches(32, 80))
    after = task.evaluate(batches)
    assert before["chance_top5"] == pytest.approx(5 / 96)
    assert after["retrieval_top5"] > 4 * after["chance_top5"] > 0.5 * before["retrieval_top5"]
    assert after["loss_floor"] < after["loss"] < after["loss_chance"] == pytest.approx(chance_loss(16))


def test_evaluation_does_not_depend_on_how_pairs_are_batched(settings, pairs, toy):
    task = start(settings, toy)
    whole = task.evaluate([pairs.batch(np.arange(96))])
    parts = task.evaluate(pairs.batch(np.arange(i, i + 24)) for i in range(0, 96, 24))
    assert whole == pytest.approx(parts, abs=1e-5)


def test_evaluation_retrieves_within_sections(settings, pairs, toy):
    task = start(settings, toy)
    batch = pairs.batch(np.arange(96)) | {"section": torch.arange(96) % 2}
    assert task.evaluate([batch])["chance_top5"] == pytest.approx(5 / 48)
    even, odd = ([pairs.batch(np.arange(first, 96, 2))] for first in (0, 1))
    expected = (task.evaluate(even)["retrieval_top5"] + task.evaluate(odd)["retrieval_top5"]) / 2
    assert task.evaluate([batch])["retrieval_top5"] == pytest.approx(expected)


def test_step_reports_bounds_of_its_batch_and_temperature(settings, pairs, toy):
    settings = dataclasses.replace(settings, temperature=0.5, learn_temperature=False)
    losses = start(settings, toy).step(pairs.batch(np.arange(16)), 0)
    assert float(losses["loss_chance"]) == pytest.approx(chance_loss(16))
    assert float(losses["loss_floor"]) == pytest.approx(floor_loss(16, 0.5))
    assert float(losses["temperature"]) == pytest.approx(0.5)
    assert all(not value.requires_grad for value in losses.values())


def test_step_before_prepare_is_an_error(settings, pairs, toy):
    task = ContrastiveTask(settings, ContrastiveModel.build(settings, toy.GENES))
    with pytest.raises(RuntimeError, match="prepare"):
        task.step(pairs.batch(np.arange(16)), 0)


def test_export_holds_the_mean_counts_of_the_genes_seen(settings, pairs, tmp_path, toy):
    task = start(settings, toy)
    train(task, pairs.batches(16, 3))
    task.export(tmp_path / "model", {"seed": 0})
    model = ContrastiveModel.from_pretrained(tmp_path / "model")
    seen = np.concatenate([batch["expression"] for _, batch in pairs.batches(16, 3)])
    assert np.allclose(model.gene_counts, np.expm1(seen).mean(axis=0), rtol=1e-5)


def test_base_preset_trains_when_built_without_downloads(toy):
    base = PRESETS["base"]
    settings = dataclasses.replace(base, image=dataclasses.replace(base.image, pretrained=False, input_size=64))
    task = start(settings, toy)
    before = task.model.image.backbone.stem[0].weight.detach().clone()
    losses = task.step(toy.ToyPairs(8, toy.GENES).batch(np.arange(8)), images_seen=100_000)
    assert np.isfinite(float(losses["loss"]))
    assert not torch.equal(task.model.image.backbone.stem[0].weight, before)


def test_frozen_backbone_is_left_alone_while_heads_learn(settings, pairs, toy):
    settings = dataclasses.replace(settings, image=dataclasses.replace(settings.image, frozen=True))
    task = start(settings, toy)
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    train(task, pairs.batches(16, 2))
    changed = {k for k, v in task.model.state_dict().items() if not torch.equal(v, before[k])}
    assert not any(k.startswith("image.backbone.") for k in changed)
    assert {"image.head.project.weight", "expression.hidden.weight", "log_scale"} <= changed


def test_a_frozen_pretrained_backbone_is_in_no_checkpoint_and_resuming_is_exact(settings, pairs, toy, tmp_path):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    image = dataclasses.replace(settings.image, backbone=str(tmp_path / "uni"), pretrained=True, frozen=True)
    settings = dataclasses.replace(settings, image=image)
    uninterrupted = start(settings, toy)
    expected = train(uninterrupted, pairs.batches(16, 6))

    stopped = start(settings, toy)
    train(stopped, list(pairs.batches(16, 6))[:3])
    saved = copy.deepcopy((stopped.model.state_dict(), stopped.optimizer.state_dict(), stopped.state_dict()))
    assert not any("backbone" in key for key in saved[0])
    assert "image.head.project.weight" in saved[0]
    resumed = start(settings, toy)
    backbone = {key: value.clone() for key, value in resumed.model.image.backbone.state_dict().items()}
    assert resumed.model.load_state_dict(saved[0]).missing_keys == []
    resumed.optimizer.load_state_dict(saved[1])
    resumed.load_state_dict(saved[2])
    assert train(resumed, list(pairs.batches(16, 6))[3:]) == expected[3:]
    after = resumed.model.image.backbone.state_dict()
    assert all(torch.equal(after[key], value) for key, value in backbone.items())


def test_a_checkpoint_of_before_that_holds_the_backbone_is_read(settings, toy, tmp_path):
    toy.write_uni(tmp_path / "uni", model_args=toy.SMALL)
    image = dataclasses.replace(settings.image, backbone=str(tmp_path / "uni"), pretrained=True, frozen=True)
    model = ContrastiveModel.build(dataclasses.replace(settings, image=image), toy.GENES)
    held = {f"image.backbone.{key}": value for key, value in model.image.backbone.state_dict().items()}
    assert model.load_state_dict(model.state_dict() | held).unexpected_keys == []
    wrapped = torch.nn.ModuleDict({"module": model})  # as DistributedDataParallel names its module
    state = wrapped.state_dict()
    assert not any("backbone" in key for key in state)
    assert wrapped.load_state_dict(state).missing_keys == []
