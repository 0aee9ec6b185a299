import subprocess
import sys

import h5py
import pandas as pd
import pytest
import tifffile

from g2m_data.simulate import measure_study
from g2m_data.simulate.config import PRESETS

# peaks of this process and of the largest of its two sections, each in a process of its own; KiB
SIMULATE = """
import re, resource, sys
from pathlib import Path
from g2m_data.simulate import simulate_study
simulate_study(Path(sys.argv[1]), preset="quarter", workers=2)
own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(own + 2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_sizes_are_those_of_the_files(study):
    sizes = measure_study(study / "study.toml")
    assert [size.id for size in sizes] == [plan.id for plan in PRESETS["tiny"].sections]
    home = study / "raw" / "hd1" / "outs" / "binned_outputs" / "square_002um"
    with h5py.File(home / "filtered_feature_bc_matrix.h5") as file:
        assert (sizes[0].genes, sizes[0].positions) == tuple(file["matrix/shape"][:])
        assert sizes[0].nonzeros == file["matrix/indptr"][-1]
    assert sizes[0].positions == pd.read_parquet(home / "spatial" / "tissue_positions.parquet")["in_tissue"].sum()
    slide = study / "raw" / "hd1" / "tissue.btf"
    assert sizes[0].slide_px == tifffile.imread(slide).shape[1::-1]
    assert sizes[0].bytes > slide.stat().st_size
    assert f"{sizes[0].nonzeros:,} non-zeros" in str(sizes[0])


@pytest.mark.slow
def test_a_quarter_of_a_whole_section_takes_less_than_4_gib(tmp_path):
    command = [sys.executable, "-c", SIMULATE, str(tmp_path / "quarter")]
    peak_kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak_kib < 4 * 2**20
    section, test = measure_study(tmp_path / "quarter" / "study.toml")
    assert section.genes == test.genes == 18_248
    assert section.positions > 2_000_000
    assert section.nonzeros > 40_000_000
    positions = next((tmp_path / "quarter").rglob("tissue_positions.parquet"))
    table = pd.read_parquet(positions, columns=["array_row", "array_col"])
    assert len(table) == 1675**2
    assert not table.duplicated().any()
