import pytest

from g2m_cli.errors import InputError
from g2m_cli.files import complete_or_absent


def test_folder_appears_only_when_complete(tmp_path):
    target = tmp_path / "deep" / "out"
    with complete_or_absent(target) as partial:
        partial.mkdir()
        (partial / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_error_leaves_nothing(tmp_path):
    def fail():
        with complete_or_absent(tmp_path / "out") as partial:
            partial.mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_existing_target_is_refused_untouched(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="exists already"), complete_or_absent(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "mine"


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".out.partial-999999").mkdir()
    with complete_or_absent(tmp_path / "out") as partial:
        partial.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
