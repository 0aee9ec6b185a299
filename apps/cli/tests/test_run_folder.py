import subprocess
import sys

import pytest

from g2m_cli.errors import InputError
from g2m_cli.provenance import provenance, read_provenance
from g2m_cli.run_folder import claim, locked


def test_second_process_in_a_run_folder_is_refused(tmp_path):
    code = (
        f"from pathlib import Path; from g2m_cli.run_folder import locked\nwith locked(Path({str(tmp_path)!r})): pass"
    )
    with locked(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "is at work here" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_same_request_is_welcome_again(tmp_path):
    claim(tmp_path, provenance("gan", {"lr": 1}, {"dataset": "a"}))
    claim(tmp_path, provenance("gan", {"lr": 1}, {"dataset": "a"}))


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path):
    claim(tmp_path, provenance("gan", {"optimizer": {"lr": 1}}, {"dataset": "a"}))
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(InputError, match=r"optimizer\.lr: 1 there, 2 now"):
        claim(tmp_path, provenance("gan", {"optimizer": {"lr": 2}}, {"dataset": "a"}))
    with pytest.raises(InputError, match="dataset: a there, b now"):
        claim(tmp_path, provenance("gan", {"optimizer": {"lr": 1}}, {"dataset": "b"}))


def test_folder_of_a_run_that_never_began_is_free_and_loses_its_cache(tmp_path):
    claim(tmp_path, provenance("gan", {"lr": 1}, {"dataset": "a"}))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "moments.npy").touch()
    other = provenance("gan", {"lr": 2}, {"dataset": "a"})
    claim(tmp_path, other)
    assert read_provenance(tmp_path)["id"] == other["id"]
    assert not (tmp_path / "cache").exists()


def test_precision_does_not_change_on_the_way(tmp_path):
    record = provenance("gan", {"lr": 1}, {"dataset": "a"})
    claim(tmp_path, {**record, "precision": "no"})
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(InputError, match="begun with --precision no, not bf16"):
        claim(tmp_path, {**record, "precision": "bf16"})
    (tmp_path / "model").mkdir()
    claim(tmp_path, {**record, "precision": "bf16"})


@pytest.mark.parametrize("damage", ["", '{"id": "ab', None])
def test_a_run_whose_provenance_is_lost_or_cut_short_is_not_taken_for_another(tmp_path, damage):
    record = provenance("gan", {"lr": 1}, {"dataset": "a"})
    claim(tmp_path, record)
    (tmp_path / "metrics.jsonl").touch()
    file = tmp_path / "provenance.json"
    file.unlink() if damage is None else file.write_text(damage)
    with pytest.raises(
        InputError, match=r"provenance.json is missing or damaged.*; put it back, or name another --out"
    ):
        claim(tmp_path, record)
    assert (file.read_text() if damage is not None else None) == damage
