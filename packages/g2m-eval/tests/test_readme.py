import json
import re
from pathlib import Path


def test_readme_snippet_runs_and_writes_a_report(tmp_path, monkeypatch):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet[1], "README.md", "exec"), {})
    assert "frechet_generated_vs_test" in json.loads(Path("report/metrics.json").read_text())["models"]["invented"]
