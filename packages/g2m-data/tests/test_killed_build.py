"""A build that is killed at any moment shows no part of a dataset, and the next one succeeds and clears up."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from g2m_data import open_dataset

BUILDER = """
import os, sys, time
from pathlib import Path
from g2m_data import build_dataset, open_dataset
for line in sys.stdin:  # a build a line, each in a process group of its own
    child = os.fork()
    if not child:
        build_dataset(Path(sys.argv[1]), Path(sys.argv[2]), overwrite=True, **OPTIONS)
        os._exit(0)
    os.setpgid(child, child)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Builder:
    """Starts builds, from a process that has loaded everything and therefore starts them at once."""

    def __init__(self, manifest: Path, out: Path, options: str) -> None:
        self.out = out
        self.process = subprocess.Popen(
            [sys.executable, "-c", BUILDER.replace("OPTIONS", options), str(manifest), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def build(self, kill_after=None, alone=False):
        """Build, or be killed after some seconds, with its workers or alone; gives the exit code and its seconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        child, began = int(self.process.stdout.readline()), time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it has ended already
                (os.kill if alone else os.killpg)(child, signal.SIGKILL)
        return int(self.process.stdout.readline()), time.monotonic() - began

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


@pytest.fixture
def builder(request, maker, make_hd, make_spots, stained_image, tmp_path):
    for section, sample, split in ((make_hd(), "bins", "train"), (make_spots(mpp=2.0), "spots", "test")):
        height, width = section.slide.shape[:2]
        section.slide = np.tile(stained_image, (height // 160 + 1, width // 200 + 1, 1))[:height, :width].copy()
        maker.add(section, sample, split=split, layout="hd" if sample == "bins" else None)
    builder = Builder(
        maker.manifest(patch='pixels = 64\nstain = "macenko"'),
        tmp_path / "out" / "dataset",
        getattr(request, "param", "{}"),
    )
    yield builder
    builder.close()


def kill_at(builder, moments, seed):
    """Build once as a measure; then kill at random moments, each time look, and now and then build again."""
    code, seconds = builder.build()
    assert code == 0
    pairs, rng = len(open_dataset(builder.out)), random.Random(seed)
    killed = 0
    for number in range(moments):
        code, _ = builder.build(kill_after=rng.uniform(0, 1.05 * seconds), alone=number % 2 == 1)
        killed += code == -signal.SIGKILL
        if builder.out.exists():
            dataset = open_dataset(builder.out)
            assert len(dataset) == pairs
            assert all(dataset.patches([0, pairs - 1]).any(axis=(1, 2, 3)))
        if number % 10 == 9 or number == moments - 1:
            assert builder.build()[0] == 0
            assert [path.name for path in builder.out.parent.iterdir()] == ["dataset"]
    return killed


def test_killed_thrice_nothing_partial_is_seen(builder):
    assert kill_at(builder, 3, seed=1) > 0


@pytest.mark.slow
@pytest.mark.parametrize("builder", ["{}", "{'workers': 2}"], ids=["one process", "two workers"], indirect=True)
def test_killed_fifty_times_nothing_partial_is_seen(builder):
    assert kill_at(builder, 50, seed=2) > 25
