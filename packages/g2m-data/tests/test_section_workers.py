import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from g2m_data import InputError, build_dataset, open_dataset, section_workers

SLEEPER = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.fixture
def manifest(maker, make_spots):
    maker.add(make_spots(), "first")
    maker.add(make_spots(seed=1), "second", split="test")
    return maker.manifest()


def test_workers_build_what_one_process_builds(manifest, tmp_path):
    build_dataset(manifest, tmp_path / "alone")
    build_dataset(manifest, tmp_path / "together", workers=2)
    alone, together = open_dataset(tmp_path / "alone"), open_dataset(tmp_path / "together")
    assert alone.manifest == together.manifest
    np.testing.assert_array_equal(alone.expression(slice(None)), together.expression(slice(None)))
    np.testing.assert_array_equal(alone.patches(slice(None)), together.patches(slice(None)))


def test_what_is_wrong_with_a_section_is_said_in_one_line_and_nothing_is_left(maker, manifest, tmp_path):
    slide = maker.folder / "second" / "slide.tif"
    slide.write_bytes(slide.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"second/slide\.tif: truncated or damaged") as caught:
        build_dataset(manifest, tmp_path / "out" / "dataset", workers=2)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").iterdir())


def test_killed_worker_is_one_line_stops_the_others_and_leaves_nothing(manifest, tmp_path, monkeypatch):
    suicide = (sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    commands = iter([SLEEPER, suicide])
    monkeypatch.setattr(section_workers, "COMMAND", Commands(commands))
    with pytest.raises(InputError, match=r"was killed \(signal 9\).*fewer workers"):
        build_dataset(manifest, tmp_path / "out" / "dataset", workers=2)
    assert not list((tmp_path / "out").iterdir())


class Commands:
    """Another command every time it is unpacked."""

    def __init__(self, commands):
        self._commands = commands

    def __iter__(self):
        return iter(next(self._commands))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_workers_end_with_a_parent_that_is_killed(manifest, tmp_path):
    """The worker waits where it would read a fifo that nobody writes."""
    fifo = manifest.parent / "first" / "spatial" / "scalefactors_json.json"
    fifo.unlink()
    os.mkfifo(fifo)
    code = "import sys; from g2m_data.section_workers import main; main(*sys.argv[1:])"
    (tmp_path / "genes.txt").write_text("Gene1\n")
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(manifest), "first", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.2)
        worker.stdin.close()
        assert worker.wait(timeout=60) == section_workers.ORPHANED
    finally:
        worker.kill()


def test_workers_import_nothing_from_the_working_directory(manifest, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "zarr.py").write_text("raise RuntimeError('a file of the user')")
    monkeypatch.chdir(tmp_path / "here")
    build_dataset(manifest, tmp_path / "dataset", workers=2)
    assert (tmp_path / "dataset" / "dataset.json").is_file()


def test_want_of_memory_in_a_worker_is_one_line(manifest, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(section_workers, "build_section", fail)
    monkeypatch.setattr(section_workers, "_end_with_parent", lambda: None)
    (tmp_path / "genes.txt").write_text("Gene1\n")
    section_workers.main(str(manifest), "first", str(tmp_path))
    assert json.loads(capsys.readouterr().out)["error"].endswith("nothing was built; try again with fewer workers")


def test_want_of_memory_without_workers_is_one_line_too(manifest, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(section_workers, "build_section", fail)
    with pytest.raises(InputError, match="memory did not suffice to build it; nothing was built"):
        build_dataset(manifest, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def test_less_than_one_worker_is_refused(manifest, tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        build_dataset(manifest, tmp_path / "dataset", workers=0)
