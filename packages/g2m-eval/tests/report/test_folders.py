import subprocess

import pytest

from g2m_eval import write_report
from g2m_eval.report.folders import beside, swap_in


@pytest.fixture
def dead() -> str:
    """Number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return str(process.pid)


def of(process, directory, role):
    ours = beside(directory, role)
    return ours.with_name(f"{ours.name.rpartition('-')[0]}-{process}")


def report(directory, value):
    write_report(directory, title="A report", metrics={"value": value})


def test_what_a_killed_process_was_building_is_cleared(tmp_path, dead):
    left = of(dead, tmp_path / "report", "building")
    left.mkdir()
    (left / "report.html").write_text("half")
    report(tmp_path / "report", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_a_living_process_is_building_is_left_alone(tmp_path):
    theirs = of("1", tmp_path / "report", "building")
    theirs.mkdir()
    report(tmp_path / "report", 1)
    assert theirs.is_dir()


def test_a_report_whose_successor_never_came_is_put_back_and_then_replaced_as_any_other(tmp_path, dead):
    directory = tmp_path / "report"
    report(directory, 1)
    directory.rename(of(dead, directory, "old"))
    with pytest.raises(ZeroDivisionError):
        write_report(directory, title="A report", metrics={}, files={"x": lambda path: 1 / 0})
    assert '"value": 1' in (directory / "metrics.json").read_text()
    report(directory, 2)
    assert '"value": 2' in (directory / "metrics.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_folders_of_other_names_are_not_touched(tmp_path, dead):
    other = of(dead, tmp_path / "report-2", "building")
    other.mkdir()
    report(tmp_path / "report", 1)
    assert other.is_dir()


def test_a_folder_is_swapped_in_whole(tmp_path):
    new, place = tmp_path / "new", tmp_path / "place"
    for folder, text in ((new, "new"), (place, "old")):
        folder.mkdir()
        (folder / text).write_text(text)
    swap_in(new, place)
    assert [path.name for path in place.iterdir()] == ["new"]
    assert not new.exists()
