import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from g2m_data.hdf5_file import create_hdf5


def test_what_is_written_is_read(tmp_path):
    values = np.arange(100_000)
    with create_hdf5(tmp_path / "x.h5") as (file, check):
        stored = file.create_dataset(
            "x", shape=(0,), maxshape=(None,), chunks=(1 << 10,), dtype=int, compression="gzip"
        )
        for start in range(0, len(values), 999):
            part = values[start : start + 999]
            stored.resize((start + len(part),))
            stored[start:] = part
        check()
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["x"][:], values)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "x.h5").write_text("mine")
    with pytest.raises(FileExistsError), create_hdf5(tmp_path / "x.h5"):
        pass
    assert (tmp_path / "x.h5").read_text() == "mine"


SCRIPT = """
import errno, resource, sys
from pathlib import Path
from g2m_data.hdf5_file import create_hdf5

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
path, checked = Path(sys.argv[1]), sys.argv[2] == "checked"
try:
    with create_hdf5(path) as (file, check):
        stored = file.create_dataset("x", (0,), "f8", maxshape=(None,), chunks=(1 << 16,))
        for start in range(0, 4_000_000, 100_000):
            stored.resize((start + 100_000,))
            stored[start:] = 1
            if checked:
                check()
except OSError as error:
    print(error.errno == errno.EFBIG, start < 2_000_000)
"""


@pytest.mark.skipif(os.name != "posix", reason="no limits to a file's size")
@pytest.mark.parametrize("checked", ["checked", "not checked"])
def test_refusal_of_the_disk_is_an_ordinary_error_and_the_process_ends_well(tmp_path, checked):
    # in a process of its own, which is what a full disk crashes when it ends
    command = [sys.executable, "-B", "-c", SCRIPT, str(tmp_path / "x.h5"), checked]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, f"True {checked == 'checked'}\n"), ended.stderr
