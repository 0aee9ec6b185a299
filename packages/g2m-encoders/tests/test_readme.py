import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_snippet_of_the_readme_runs(tmp_path):
    snippet = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)[1]
    result = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    loss, chance, floor = (float(number) for number in re.findall(r"\d+\.\d+", result.stdout))
    assert floor < loss < chance - 0.5
    assert (tmp_path / "encoder/model.safetensors").is_file()
