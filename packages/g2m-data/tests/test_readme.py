import re
from pathlib import Path

import pytest


@pytest.mark.slow  # draws a phantom
def test_readme_snippet_runs(tmp_path, monkeypatch):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet[1], "README.md", "exec"), {})
