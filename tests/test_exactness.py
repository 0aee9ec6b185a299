"""Training is a function of seed and images seen: not of when it was killed, nor of how many processes share it."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

STEPS = 20
LOSSES_ONLY = ("images_per_second",)


KILLS = {"gan": (4, 13), "diffusion": (7,)}  # rows of metrics.jsonl at which a run is killed


@pytest.fixture(scope="module", params=list(KILLS))
def stage(request):
    return request.param


@pytest.fixture(scope="module")
def command(stage, study):
    """Arguments of a training of 20 steps, all but --out."""
    arguments = [
        stage, "train", study / "dataset", study / "embeddings.h5ad", "--preset", "tiny", "--log-with", "none",
        "--set", "batch_size=16", "--set", "micro_batch=8", "--set", "loop.checkpoint_images=48",
    ]  # fmt: skip
    images = 16 * STEPS
    if stage == "gan":
        encoder = study / "runs" / "encoders" / "model"
        return [*arguments, "--encoder", encoder, "--set", f"stages.0.total_images={images}"]
    small = ["--set", "denoiser.channels=[16, 32]", "--set", "sampling.steps=1"]
    return [*arguments, *small, "--set", f"total_images={images}"]


@pytest.fixture(scope="module")
def never_killed(command, tmp_path_factory, run_g2m):
    run = tmp_path_factory.mktemp("whole") / "run"
    result = run_g2m(*command, "--out", run)
    assert result.returncode == 0, result.stderr
    assert len(losses(run)) == STEPS
    return run


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if key not in LOSSES_ONLY}
        for row in rows
        if "images_per_second" in row
    ]


def kill_when(process, ready, timeout=120):
    """Kill a process without warning as soon as ``ready()``; tell whether it was still running."""
    until = time.monotonic() + timeout
    while not ready() and time.monotonic() < until:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def rows_written(run):
    try:
        return (run / "metrics.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def by_one(*arguments):
    line = [sys.executable, "-m", "g2m_cli", *map(str, arguments)]
    return {"args": line, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}


def start(command, run):
    return subprocess.Popen(**by_one(*command, "--out", run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed_run_ends_in_the_same_losses_bit_for_bit(stage, command, never_killed, tmp_path, run_g2m):
    run = tmp_path / "run"
    for rows in KILLS[stage]:
        assert kill_when(start(command, run), lambda rows=rows: rows_written(run) >= rows)
    result = run_g2m(*command, "--out", run)
    assert result.returncode == 0, result.stderr
    assert losses(run) == losses(never_killed)


@pytest.mark.slow
def test_run_killed_at_random_moments_ends_in_the_same_losses(command, never_killed, tmp_path, run_g2m):
    run, moments = tmp_path / "run", random.Random(0)
    for _ in range(12):
        process, moment = start(command, run), time.monotonic() + moments.uniform(0, 20)
        kill_when(process, lambda moment=moment: time.monotonic() > moment)
    result = run_g2m(*command, "--out", run)
    assert result.returncode == 0, result.stderr
    assert losses(run) == losses(never_killed)


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 2])
def test_a_run_goes_on_with_another_number_of_processes(command, never_killed, tmp_path, by_two, first):
    run = tmp_path / "run"
    before, after = (by_one, by_two) if first == 1 else (by_two, by_one)
    process = subprocess.Popen(**before(*command, "--out", run), start_new_session=True)
    until = time.monotonic() + 120
    while not list(run.glob("checkpoints/*/[0-9]*")) and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "model").is_dir()
    result = subprocess.run(**after(*command, "--out", run), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    for expected, found in zip(losses(never_killed), losses(run), strict=True):
        for name in expected.keys() - {"stage", "images_seen"}:
            assert found[name] == pytest.approx(expected[name], abs=1e-5), (name, expected["images_seen"])


@pytest.mark.parametrize("stage", ["gan", pytest.param("diffusion", marks=pytest.mark.slow)], indirect=True)
def test_two_processes_compute_the_losses_of_one(command, never_killed, tmp_path, by_two):
    run = tmp_path / "run"
    result = subprocess.run(**by_two(*command, "--out", run), capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]

    one, two = losses(never_killed), losses(run)
    assert len(two) == STEPS
    for expected, found in zip(one, two, strict=True):
        for name in expected.keys() - {"stage", "images_seen"}:
            assert found[name] == pytest.approx(expected[name], abs=1e-5), (name, expected["images_seen"])
