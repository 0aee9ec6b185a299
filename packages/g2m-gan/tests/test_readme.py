import re
from pathlib import Path


def test_snippet_runs(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    exec(snippet, names)
    assert tuple(names["images"].shape) == (3, 3, 16, 16)
    assert (tmp_path / "stylegan-g" / "model.safetensors").is_file()
