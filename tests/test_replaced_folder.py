"""A folder that is replaced is at every moment the old one or the new one, whenever its writer is killed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[1] / "packages/g2m-gan/src/g2m_gan/replaced_folder.py"
WRITER = """
import importlib.util, os, pathlib, signal, sys
module, target, moment = sys.argv[1:]
spec = importlib.util.spec_from_file_location("replaced_folder", module)
replacing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(replacing)
count = 0

def killed_at(name, function):
    def call(*arguments):
        global count
        if moment == f"before {name} {count}":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments)
        if moment == f"after {name} {count}":
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return result
    return call

if "rename" in moment:  # of a file system that cannot exchange
    replacing._exchanged = lambda *_: False
    pathlib.Path.rename = killed_at("rename", pathlib.Path.rename)
else:
    replacing._exchanged = killed_at("exchange", replacing._exchanged)
with replacing.replaced_folder(pathlib.Path(target)) as folder:
    (folder / "one").write_text("new")
    if moment == "while writing":
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / "two").write_text("new")
"""


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text("old")
    return folder


def write(target, moment):
    return subprocess.run([sys.executable, "-c", WRITER, MODULE, target, moment], check=False).returncode


def said(target):
    return {path.read_text() for path in target.iterdir()}


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("while writing", "old"),
        ("before exchange 0", "old"),
        ("after exchange 0", "new"),
        ("before rename 0", "old"),
        ("after rename 1", "new"),
    ],
)
def test_a_killed_writer_leaves_the_old_or_the_new_one(target, moment, left):
    assert write(target, moment) < 0
    assert said(target) == {left}
    assert write(target, "never") == 0
    assert said(target) == {"new"}
    assert list(target.parent.iterdir()) == [target]  # nothing of the killed one is left


def test_without_an_exchange_the_old_one_is_put_back_by_the_next_writer(target):
    assert write(target, "after rename 0") < 0
    assert not target.exists()
    assert write(target, "while writing") < 0
    assert said(target) == {"old"}


def test_what_another_living_process_writes_is_left_alone(target):
    spec = importlib.util.spec_from_file_location("replaced_folder", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.replaced_folder(target) as folder:
        (folder / "one").write_text("mine")
        assert write(target, "never") == 0
        assert said(target) == {"new"}
        (folder / "two").write_text("mine")
    assert said(target) == {"mine"}
    assert list(target.parent.iterdir()) == [target]
