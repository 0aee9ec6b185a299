import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from g2m_data.atomic import temporary_sibling
from g2m_data.errors import InputError


@pytest.fixture
def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_had_moved_aside_is_put_back(tmp_path, dead_process):
    out = tmp_path / "dataset"
    aside = tmp_path / f".dataset.building-{platform.node()}-old-{dead_process}"
    half = tmp_path / f".dataset.building-{platform.node()}-{dead_process}"
    for folder in (aside, half):
        folder.mkdir()
    (aside / "mine").touch()
    with suppress(RuntimeError), temporary_sibling(out, "nothing was built") as working:
        working.mkdir()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert (out / "mine").exists()


def test_what_is_replaced_is_put_back_if_its_successor_cannot_take_its_place(tmp_path):
    out = tmp_path / "dataset"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(InputError, match="nothing was built"), temporary_sibling(out, "nothing was built"):
        pass  # nothing was made, so that nothing can be renamed
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert (out / "mine").exists()


def test_what_is_replaced_is_put_back_after_an_interrupt(tmp_path, monkeypatch):
    out, rename = tmp_path / "file.h5", Path.rename
    out.write_text("old")

    def interrupted(path, target):
        moved = rename(path, target)
        if path == out:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_sibling(out, "nothing was written") as working:
        working.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.h5"]
    assert out.read_text() == "old"


def test_what_was_moved_aside_and_replaced_is_removed(tmp_path, dead_process):
    out = tmp_path / "file.h5"
    out.write_text("new")
    (tmp_path / f".file.h5.building-{platform.node()}-old-{dead_process}").write_text("old")
    with temporary_sibling(out, "nothing was written") as working:
        working.write_text("newer")
    assert [path.name for path in tmp_path.iterdir()] == ["file.h5"]
    assert out.read_text() == "newer"
