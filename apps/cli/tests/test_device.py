import json

import pytest
import torch

from g2m_cli import device
from g2m_cli.device import autocast, compute_device, resolve_precision, to_device
from g2m_cli.errors import InputError
from g2m_cli.training import Launch, precision_of


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that computes in bfloat16, as far as anybody asks."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_a_cpu_computes_in_float32_unless_told_otherwise():
    assert [resolve_precision(word) for word in ("auto", "no", "bf16")] == ["no", "no", "bf16"]
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        resolve_precision("fp16")
    assert compute_device() == torch.device("cpu")


def test_a_gpu_computes_in_bfloat16_unless_told_otherwise(gpu, monkeypatch):
    assert [resolve_precision(word) for word in ("auto", "no", "fp16")] == ["bf16", "no", "fp16"]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert resolve_precision() == "no"


def test_each_process_of_a_launcher_has_its_own_gpu(gpu, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert compute_device() == torch.device("cuda:1")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert compute_device() == torch.device("cpu")
    assert resolve_precision() == "no"


def test_the_launchers_word_is_heard_and_the_option_outvotes_it(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert resolve_precision() == "bf16"
    assert resolve_precision("no") == "no"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(InputError, match="accelerate launch --mixed_precision fp8: expected no, bf16 or fp16"):
        resolve_precision()
    with pytest.raises(InputError, match="--precision half: expected one of auto, no, bf16, fp16"):
        resolve_precision("half")


def test_a_launcher_that_was_told_nothing_is_told_of(gpu, monkeypatch, capsys):
    device._tell_of_the_launcher.cache_clear()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert [resolve_precision(), resolve_precision()] == ["no", "no"]
    assert capsys.readouterr().err.count("--precision bf16") == 1
    assert resolve_precision("no") == "no"  # asked for
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (Launch(precision="bf17"), "--precision bf17"),
        (Launch(trackers="tensorboard,tensorbored"), "--log-with tensorbored: expected none or some of .*tensorboard"),
    ],
)
def test_what_training_would_refuse_is_refused_before(launch, message):
    Launch(trackers="none").check()
    with pytest.raises(InputError, match=message):
        launch.check()


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(tmp_path, monkeypatch):
    (tmp_path / "provenance.json").write_text(json.dumps({"precision": "bf16"}))
    assert precision_of(tmp_path, "auto") == "no"  # a claimed folder that holds no step yet
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "checkpoints").mkdir()
    assert precision_of(tmp_path, "auto") == "bf16"
    assert precision_of(tmp_path, "no") == "no"


def test_mixed_precision_is_a_context_and_float32_none():
    weight = torch.ones(2, 2)
    with autocast("bf16"):
        assert (weight @ weight).dtype == torch.bfloat16
    with autocast("no"):
        assert (weight @ weight).dtype == torch.float32


def test_copies_to_a_gpu_go_through_page_locked_memory(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append("pinned") or tensor)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, **how: asked.append((device, how)) or tensor)
    array = torch.arange(3).numpy()
    to_device(array, torch.device("cpu"))
    to_device(array, torch.device("cuda"))
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert asked == [(cpu, {}), "pinned", (gpu, {"non_blocking": True})]
