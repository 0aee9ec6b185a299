import re
from pathlib import Path


def test_readme_snippet_runs_and_names_pairs_terms_and_changes(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(snippet[1], "README.md", "exec"), {})
    shown = capsys.readouterr().out
    for word in ("cortex / fat", "completeness_error", "CORTEX", "lightness"):
        assert word in shown
