import json
import sys

import anndata as ad
import h5py
import pytest

from g2m_cli.main import main
from g2m_data import build_dataset
from g2m_data.simulate.section import simulate_section


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    (root / "truth").mkdir()
    simulate_section(root, "tiny", 0, 1)
    entry = {
        "id": "visium1",
        "spaceranger": "raw/visium1/outs",
        "image": "raw/visium1/tissue.tif",
        "split": "test",
    }
    lines = ["[study]", 'name = "s"', "[patch]", "pixels = 16", "[[sample]]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    (root / "study.toml").write_text("\n".join(lines))
    build_dataset(root / "study.toml", root / "dataset")
    return root / "dataset"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["g2m", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_export_writes_what_other_libraries_open(dataset, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "data", "export", dataset, "visium1", "--to", "h5ad", "--out", tmp_path / "v.h5ad") == 0
    adata = ad.read_h5ad(tmp_path / "v.h5ad")
    assert f"v.h5ad: {adata.n_obs:,} pairs of visium1" in capsys.readouterr().err
    assert run(monkeypatch, "data", "export", dataset, "visium1", "--to", "hest", "--out", tmp_path / "v.h5") == 0
    with h5py.File(tmp_path / "v.h5") as file:
        assert file["barcode"].asstr()[:, 0].tolist() == adata.obs_names.tolist()


@pytest.mark.parametrize(
    ("sample", "to", "complaint"),
    [
        ("visium9", "h5ad", "has no sample 'visium9', only visium1"),
        ("visium1", "loom", "unknown format 'loom': expected one of h5ad, spatialdata, hest"),
        ("visium1", "hest", "exists already"),
    ],
)
def test_export_ends_a_mistake_in_one_line(dataset, tmp_path, monkeypatch, capsys, sample, to, complaint):
    (tmp_path / "there").touch()
    assert run(monkeypatch, "data", "export", dataset, sample, "--to", to, "--out", tmp_path / "there") == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert (tmp_path / "there").stat().st_size == 0
