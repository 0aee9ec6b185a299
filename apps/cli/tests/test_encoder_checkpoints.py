import dataclasses
import json

import pytest
import timm
import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file

from g2m_cli.checkpoint import load_checkpoint, save_checkpoint
from g2m_encoders import PRESETS, ContrastiveModel, ContrastiveTask

GENES = [f"Gene{i}" for i in range(6)]


@pytest.fixture
def settings(tmp_path):
    """A frozen backbone with weights of its own, as UNI is."""
    backbone = timm.create_model("test_resnet", num_classes=0)
    (tmp_path / "backbone").mkdir()
    weights = {key: value.contiguous() for key, value in backbone.state_dict().items()}
    save_file(weights, tmp_path / "backbone" / "model.safetensors")
    (tmp_path / "backbone" / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
    tiny = PRESETS["tiny"]
    image = dataclasses.replace(
        tiny.image, backbone=str(tmp_path / "backbone"), pretrained=True, frozen=True, input_size=16
    )
    return dataclasses.replace(tiny, image=image, embedding_dim=8, batch_size=4)


def batch(seed):
    draw = torch.Generator().manual_seed(seed)
    return {
        "key": torch.arange(4) + 10 * seed,
        "patch": torch.randint(256, (4, 3, 16, 16), generator=draw, dtype=torch.uint8),
        "expression": torch.rand(4, len(GENES), generator=draw),
    }


def start(settings):
    accelerator = Accelerator(cpu=True)
    task = ContrastiveTask(settings, ContrastiveModel.build(settings, GENES))
    task.prepare(accelerator)
    return task, accelerator


def train(task, accelerator, seeds):
    return [float(task.step(batch(seed), 4 * seed)["loss"]) for seed in seeds]


def test_checkpoints_leave_out_a_frozen_pretrained_backbone_and_resume_exactly(settings, tmp_path):
    expected = train(*start(settings), range(4))
    stopped = start(settings)
    train(*stopped, range(2))
    save_checkpoint(tmp_path / "checkpoints", *stopped, 8, keep=1)
    (kept,) = (tmp_path / "checkpoints").glob("*/accelerate/model.safetensors")
    with safe_open(kept, framework="pt") as file:
        names = list(file.keys())
    assert "image.head.project.weight" in names
    assert not any("backbone" in name for name in names)
    task, accelerator = start(settings)
    assert load_checkpoint(tmp_path / "checkpoints", task, accelerator) == 8
    assert train(task, accelerator, range(2, 4)) == expected[2:]
