import subprocess
import sys

import pytest

from g2m_cli.errors import InputError
from g2m_cli.provenance import provenance
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
    with pytest.raises(InputError, match=r"optimizer\.lr: 1 there, 2 now"):
        claim(tmp_path, provenance("gan", {"optimizer": {"lr": 2}}, {"dataset": "a"}))
    with pytest.raises(InputError, match="dataset: a there, b now"):
        claim(tmp_path, provenance("gan", {"optimizer": {"lr": 1}}, {"dataset": "b"}))
