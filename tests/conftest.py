"""A phantom study small enough for tests, made once a session, and a way to run the command as a person does."""

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

# Enough training to run every line, not to learn anything.
BRIEF = (
    "encoders.total_images=64",
    "encoders.batch_size=16",
    "gan.stages.0.total_images=64",
    "gan.batch_size=8",
    "gan.micro_batch=8",
    "tissue.total_images=64",
    "tissue.batch_size=16",
    "tissue.denoiser.channels=[16, 32]",
    "tissue.sampling.steps=2",
    "tissue.sampling.guidance=[1.0, 2.5]",
    "eval.extractor_steps=20",
    "eval.permutations=99",
    "eval.kernel_subsets=10",
    "eval.bootstrap=20",
    "eval.train_patches=200",
    "eval.memorisation_patches=200",
    "eval.memorisation_queries=40",
    "eval.space.training_pairs=200",
    "eval.space.images=100",
    "interpret.attribution.untrained=0",
    "interpret.enrichment.permutations=20",
    "interpret.perturbation.spots=2",
    "interpret.perturbation.seeds=1",
    "interpret.perturbation.random_sets=2",
    "interpret.perturbation.resamples=20",
)
BRIEFLY = ["--preset", "tiny", *(argument for setting in BRIEF for argument in ("--set", setting))]


def g2m(*arguments, timeout=300, **environment):
    """Run the command; one thread, so that two tests side by side do not wait for each other."""
    command = [str(Path(sys.executable).with_name("g2m")), *map(str, arguments)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=variables)


def by_two(*arguments):
    """The command as `torchrun` and `accelerate launch` start it, in two processes on the CPU: line and environment."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "g2m_cli"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return {"args": [*launcher, *map(str, arguments)], "env": environment}


@pytest.fixture(scope="session")
def run_g2m():
    return g2m


@pytest.fixture(scope="session", name="by_two")
def by_two_fixture():
    return by_two


@pytest.fixture(scope="session")
def briefly():
    """Arguments of `g2m run` that make training short."""
    return BRIEFLY


@pytest.fixture(scope="session")
def shared(tmp_path_factory, request):
    """Folder that all processes of this session share, so that what takes minutes is made once."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@contextmanager
def alone(lock):
    """Let one process at a time through."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def phantom(shared):
    """Folder of the tiny phantom study."""
    folder = shared / "phantom"
    with alone(shared / "phantom.lock"):
        if not folder.is_dir():
            result = g2m("data", "simulate", folder, "--preset", "tiny")
            assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def study(phantom, shared):
    """Folder of a study taken to its report, after very little training."""
    out = shared / "study"
    with alone(shared / "study.lock"):
        if not (out / "report").is_dir():
            result = g2m("run", phantom / "study.toml", "--out", out, *BRIEFLY)
            assert result.returncode == 0, result.stderr
    return out


@pytest.fixture
def phantom_copy(phantom, tmp_path):
    """A phantom study that a test may damage."""
    return Path(shutil.copytree(phantom, tmp_path / "phantom"))
