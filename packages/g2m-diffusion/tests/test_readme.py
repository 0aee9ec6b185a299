import re
from pathlib import Path


def test_snippet_runs(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    exec(snippet, names)
    assert [[image.size for image in images] for images in names["images"]] == [[(16, 16)] * 3] * 2
    assert (tmp_path / "tissue-model" / "unet" / "diffusion_pytorch_model.safetensors").is_file()
