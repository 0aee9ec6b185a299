import errno
import os
import tomllib
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from g2m_data.errors import InputError
from g2m_data.simulate import section, simulate_study
from g2m_data.simulate import study as module
from g2m_data.simulate.anatomy import FACTORS, REGIONS
from g2m_data.simulate.config import PRESETS
from g2m_data.truth import TruthMaps, read_factors, read_genes


def arrays(root):
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                found |= {f"{name}/{key}": file["matrix"][key][:] for key in ("data", "indices", "indptr", "barcodes")}
        elif path.suffix == ".npz":
            with np.load(path) as file:
                found |= {f"{name}/{key}": file[key] for key in file.files}
        elif path.suffix in (".btf", ".tif"):
            found[name] = tifffile.imread(path)
        elif path.suffix in (".csv", ".gmt", ".toml", ".json"):
            found[name] = np.frombuffer(path.read_bytes(), np.uint8)
        elif path.suffix == ".parquet":
            found[name] = pd.read_parquet(path).to_records(index=False)
    return found


def test_same_seed_same_arrays_whatever_the_number_of_processes(study, tmp_path):
    again = simulate_study(tmp_path / "again", preset="tiny", seed=3, workers=2).parent
    first, second = arrays(study), arrays(again)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_manifest_names_every_section_by_relative_path(study):
    manifest = tomllib.loads((study / "study.toml").read_text())
    assert manifest["study"]["truth"] == "truth"
    assert [sample["id"] for sample in manifest["sample"]] == [plan.id for plan in PRESETS["tiny"].sections]
    assert {sample["split"] for sample in manifest["sample"]} == {"train", "test"}
    for sample in manifest["sample"]:
        assert (study / sample["image"]).is_file()
        assert (study / sample["spaceranger"]).is_dir()
        assert (study / manifest["study"]["truth"] / f"{sample['id']}.npz").is_file()


def test_sections_share_the_panel_and_keep_genes_and_orders_of_their_own(study):
    names = {}
    for path in study.rglob("filtered_feature_bc_matrix.h5"):
        with h5py.File(path) as file:
            names[path.relative_to(study).parts[1]] = file["matrix/features/name"].asstr()[:].tolist()
    common = set.intersection(*(set(genes) for genes in names.values()))
    assert common == set(read_genes(study / "truth")["gene"])
    assert all(len(genes) > len(common) for genes in names.values())
    assert names["hd1"] != names["visium1"]


def test_truth_tables_describe_the_programmes(study):
    factors = read_factors(study / "truth")
    assert factors["factor"].tolist() == list(FACTORS)
    assert factors.loc[factors["factor"] == "droplet_size", "regions"].item() == "BAT"
    genes = read_genes(study / "truth")
    assert [name for name in genes if name.startswith("mean_")] == [f"mean_{region}" for region in REGIONS]
    assert set(genes["factor"]) == {*FACTORS, ""}
    assert ((genes["effect"] == 0) == (genes["factor"] == "")).all()
    sets = [line.split("\t") for line in (study / "truth" / "gene_sets.gmt").read_text().splitlines()]
    assert all(set(line[2:]) <= set(genes["gene"]) for line in sets)


def test_pixel_size_of_the_maps_is_8_um(study):
    for plan in PRESETS["tiny"].sections:
        assert TruthMaps.load(study / "truth", plan.id).pixel_px * plan.mpp == pytest.approx(8.0)


def test_refuses_to_overwrite_and_names_presets(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="exists already"):
        simulate_study(tmp_path / "taken", preset="tiny")
    with pytest.raises(InputError, match="tiny, demo"):
        simulate_study(tmp_path / "new", preset="huge")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, workers):
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(module, "simulate_section", fail)
    monkeypatch.setattr(module, "_write_truth_tables", fail)
    monkeypatch.setattr(module.subprocess, "run", fail)
    with pytest.raises(InputError, match="disk full; nothing was simulated"):
        simulate_study(tmp_path / "out", preset="tiny", workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_a_worker_is_one_line(tmp_path, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "slide.tif")

    monkeypatch.setattr(section, "simulate_section", fail)
    section.main(str(tmp_path), "tiny", "0", "0")
    answer = SimpleNamespace(returncode=0, stdout=capsys.readouterr().out)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(InputError, match=r"^slide\.tif: No space left on device; nothing was simulated$"):
        simulate_study(tmp_path / "out", preset="tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=-9))
    with pytest.raises(InputError, match=r"killed \(signal 9\), perhaps for want of memory"):
        simulate_study(tmp_path / "out", preset="tiny")
    assert list(tmp_path.iterdir()) == []


def test_finished_sections_are_tracked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "simulate_section", lambda *_: None)
    seen = []

    def track(sequence, description="", total=None):
        for item in sequence:
            seen.append((item, total))
            yield item

    simulate_study(tmp_path / "out", preset="tiny", workers=1, track=track)
    assert seen == [(number, 4) for number in range(4)]
