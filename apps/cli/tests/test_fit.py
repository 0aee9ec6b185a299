"""The loop on a task small enough to follow by hand: a mean that learns its pairs."""

import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from g2m_cli.fit import Plan, fit, passed, training_batches
from g2m_cli.metrics_log import read_metrics
from g2m_cli.settings import LoopSettings


class Numbers:
    """Pairs whose patch is their own index."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def batch(self, indices, keys):
        return {"patch": torch.from_numpy(indices).float(), "key": torch.from_numpy(keys)}


class Mean:
    """Learns the mean of its pairs by Adam, with noise of each pair's key, and keeps an average of its weight."""

    def __init__(self, stop_after=None):
        self.module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.module.weight)
        self.average, self.steps, self.stop_after = torch.zeros(1, 1), 0, stop_after

    def prepare(self, accelerator):
        self.accelerator = accelerator
        optimizer = torch.optim.Adam(self.module.parameters(), lr=0.1)
        self.module, self.optimizer = accelerator.prepare(self.module, optimizer)

    def step(self, batch, images_seen):
        if self.stop_after == self.steps:
            raise KeyboardInterrupt
        self.steps += 1
        noise = torch.stack([torch.randn(1, generator=torch.Generator().manual_seed(int(key))) for key in batch["key"]])
        loss = (self.module(torch.ones_like(noise)) - batch["patch"][:, None] - noise).square().mean()
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.average = 0.9 * self.average + 0.1 * self.accelerator.unwrap_model(self.module).weight.detach()
        return {"loss": loss.detach(), "average": self.average.sum()}

    def evaluate(self, batches):
        return {"error": float(np.mean([float(batch["patch"].mean()) for batch in batches]))}

    def state_dict(self):
        return {"ema": {"average": self.average}, "steps": self.steps}

    def load_state_dict(self, state):
        self.average, self.steps = state["ema"]["average"], state["steps"]

    def export(self, directory):
        directory.mkdir()


def plan(**changes):
    settings = {
        "stage": "mean",
        "pairs": Numbers(37),
        "validation": Numbers(5),
        "total_images": 160,
        "batch_size": 8,
        "seed": 1,
        "loop": LoopSettings(),
    }
    return Plan(**settings | changes)


def losses(run):
    return [(row["images_seen"], row["loss"], row["average"]) for row in read_metrics(run) if "loss" in row]


@pytest.mark.parametrize("killed_after", [1, 7, 19])
def test_killed_run_resumes_to_the_same_losses_bit_for_bit(tmp_path, killed_after):
    loop = LoopSettings(checkpoint_images=24)
    fit(Mean(), plan(loop=loop), tmp_path / "whole", Accelerator(cpu=True))
    with pytest.raises(KeyboardInterrupt):
        fit(Mean(stop_after=killed_after), plan(loop=loop), tmp_path / "killed", Accelerator(cpu=True))
    fit(Mean(), plan(loop=loop), tmp_path / "killed", Accelerator(cpu=True))

    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 20


def test_finished_run_is_not_trained_again(tmp_path):
    fit(Mean(), plan(), tmp_path, Accelerator(cpu=True))
    before = losses(tmp_path)
    fit(Mean(stop_after=0), plan(), tmp_path, Accelerator(cpu=True))
    assert losses(tmp_path) == before


def test_only_the_newest_checkpoints_are_kept_and_none_is_partial(tmp_path):
    fit(Mean(), plan(loop=LoopSettings(checkpoint_images=8, keep_checkpoints=3)), tmp_path, Accelerator(cpu=True))
    names = sorted(path.name for path in (tmp_path / "checkpoints" / "mean").iterdir())
    assert names == ["000000000144", "000000000152", "000000000160"]


def test_last_line_cut_short_by_a_kill_does_not_stop_a_resume(tmp_path):
    loop = LoopSettings(checkpoint_images=80)
    fit(Mean(), plan(loop=loop, total_images=80), tmp_path, Accelerator(cpu=True))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "mean", "images_se')
    fit(Mean(), plan(loop=loop), tmp_path, Accelerator(cpu=True))
    assert [row[0] for row in losses(tmp_path)] == list(range(8, 161, 8))


def test_every_row_is_json_and_validation_is_scored_at_the_end(tmp_path):
    fit(Mean(), plan(), tmp_path, Accelerator(cpu=True))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images_seen"] == 160
    assert rows[-1]["validation_error"] == 2.0


def test_processes_share_each_global_batch_in_contiguous_slices():
    one = list(training_batches(plan(), 0, 0, 1))
    two = [list(training_batches(plan(), 0, process, 2)) for process in (0, 1)]
    for whole, first, second in zip(one, *two, strict=True):
        for name in whole:
            assert torch.equal(whole[name], torch.cat([first[name], second[name]]))


def test_batches_go_on_where_they_stopped():
    rest = list(training_batches(plan(), 64, 0, 1))
    whole = list(training_batches(plan(), 0, 0, 1))[8:]
    assert all(
        torch.equal(a["key"], b["key"]) and torch.equal(a["patch"], b["patch"])
        for a, b in zip(rest, whole, strict=True)
    )


def test_passed_counts_multiples_and_never_for_zero():
    assert [now for now in range(8, 65, 8) if passed(now - 8, now, 20)] == [24, 40, 64]
    assert not any(passed(now - 8, now, 0) for now in range(8, 65, 8))
