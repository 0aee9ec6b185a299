import json
import sys

import h5py
import numpy as np
import pytest
import tifffile
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image

from g2m_cli.environment import check_environment, preset_weights
from g2m_cli.main import main
from g2m_data.doctor.report import worst


@pytest.fixture
def g2m(monkeypatch):
    """Run the command as a shell would; gives its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["g2m", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0

    return run


@pytest.fixture
def study(tmp_path):
    """A hundred spots of Visium in a disc of tissue."""
    rng = np.random.default_rng(0)
    row, col = np.divmod(np.arange(20 * 40), 40)
    row, col = row[(row + col) % 2 == 0], col[(row + col) % 2 == 0]
    x, y = 150 + col * 50, 150 + row * 50 * 3**0.5
    grid_y, grid_x = np.mgrid[:2000, :2300]
    inside = np.hypot(grid_x - 1150, grid_y - 975) < 700
    cells = rng.gamma(2.0, 0.3, (2, 100, 115)).repeat(20, axis=1).repeat(20, axis=2)
    amount = np.where(inside, cells, 0)
    density = np.tensordot(np.array([[0.56, 0.22], [0.72, 0.80], [0.41, 0.56]]), amount, axes=1)
    image = np.clip(242 * np.exp(-density), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    tifffile.imwrite(tmp_path / "slide.tif", image, photometric="rgb", tile=(256, 256))
    in_tissue = np.hypot(x - 1150, y - 975) < 700
    barcodes = [f"SPOT{i}-1" for i in range(len(x))]
    (tmp_path / "outs" / "spatial").mkdir(parents=True)
    lines = [
        f"{barcode},{int(t)},{r},{c},{round(top)},{round(left)}"
        for barcode, t, r, c, top, left in zip(barcodes, in_tissue, row, col, y, x, strict=True)
    ]
    (tmp_path / "outs" / "spatial" / "tissue_positions_list.csv").write_text("\n".join(lines) + "\n")
    counts = rng.poisson(5, (int(in_tissue.sum()), 12)) + 1
    with h5py.File(tmp_path / "outs" / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        kept = [barcode for barcode, t in zip(barcodes, in_tissue, strict=True) if t]
        group["barcodes"] = np.array(kept, "S")
        group["data"], group["shape"] = counts.ravel().astype(np.int32), np.array(counts.T.shape, np.int32)
        group["indices"] = np.tile(np.arange(12), len(counts))
        group["indptr"] = np.arange(len(counts) + 1) * 12
        features = group.create_group("features")
        features["id"] = features["name"] = np.array([f"Gene{i}" for i in range(12)], "S")
        features["feature_type"] = np.array(["Gene Expression"] * 12, "S")
    manifest = tmp_path / "study.toml"
    manifest.write_text(
        '[study]\nname = "disc"\n[patch]\npixels = 64\n[[sample]]\nid = "one"\nplatform = "visium"\n'
        'spaceranger = "outs"\nimage = "slide.tif"\nsplit = "train"\n'
    )
    return manifest


def test_a_good_study_is_drawn_and_reported(g2m, study, capsys):
    assert g2m("doctor", study) == 0
    shown = capsys.readouterr().out
    assert "one (visium, train)" in shown
    assert "verdict" in shown
    report = json.loads((study.parent / "doctor" / "doctor.json").read_text())
    assert report["samples"]["one"]["verdict"] == "ok", shown
    assert {row["name"] for row in report["weights"]} >= {"hf-hub:MahmoodLab/UNI", "CompVis/stable-diffusion-v1-4"}
    assert {check["name"] for check in report["machine"]} >= {"software", "accelerator", "room", "weights"}
    picture = Image.open(study.parent / "doctor" / report["samples"]["one"]["picture"])
    assert min(picture.size) > 1000
    assert sorted(path.name for path in (study.parent / "doctor").iterdir()) == ["doctor.json", "one.png"]


def test_unusable_data_ends_with_1_and_a_mistake_with_2(g2m, study, tmp_path, capsys):
    assert g2m("doctor", tmp_path / "none.toml") == 2
    assert "no such study manifest" in capsys.readouterr().err
    assert g2m("doctor", "--out", tmp_path / "x") == 2
    (tmp_path / "slide.tif").write_bytes(b"II*\0" + bytes(50))
    assert g2m("doctor", study, "--out", tmp_path / "checked") == 1
    report = json.loads((tmp_path / "checked" / "doctor.json").read_text())
    assert report["verdict"] == "error"
    assert "picture" not in report["samples"]["one"]


def test_a_place_where_pictures_cannot_go_is_one_line(g2m, study, tmp_path, capsys):
    (tmp_path / "taken").write_text("no folder")
    assert g2m("doctor", study, "--out", tmp_path / "taken") == 2
    assert f"{tmp_path / 'taken'}: File exists; pictures go to" in capsys.readouterr().err


def test_a_machine_is_checked_without_a_study(g2m, capsys):
    assert g2m("doctor") == 0
    shown = capsys.readouterr().out
    assert "torch" in shown
    assert "weights that presets start from" in shown
    assert "--set encoders.image.backbone=/path" in shown


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A cache that holds what is put into the list, and a hub that may not be asked."""
    cached = []

    def serve(repository, file, *, revision, local_files_only=False):
        assert local_files_only
        if repository not in cached:
            raise LocalEntryNotFoundError(file)
        (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
        (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path / file)

    monkeypatch.setattr("g2m_encoders.hub.hf_hub_download", serve)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    return cached


def test_each_presets_weights_are_listed_with_licence_place_and_setting(hub):
    hub.append("MahmoodLab/UNI")
    rows = {(row.name, row.purpose): row for row in preset_weights()}
    uni = rows["hf-hub:MahmoodLab/UNI", "phase 1's image backbone"]
    assert (uni.presets, uni.here, uni.option) == (("paper", "paper-code"), True, "--set encoders.image.backbone=/path")
    assert "gated" in uni.licence
    convnext = rows["convnext_nano.in12k_ft_in1k", "phase 1's image backbone"]
    assert (convnext.presets, convnext.licence, convnext.here) == (("base",), "apache-2.0", False)
    assert all(row.licence for row in rows.values())
    assert "tiny" not in {preset for row in rows.values() for preset in row.presets}


def test_given_weights_are_looked_for(tmp_path):
    (tmp_path / "uni").mkdir()
    assert worst(check.verdict for check in check_environment(tmp_path, [tmp_path / "uni"])) == "error"
    (tmp_path / "uni" / "model.safetensors").write_bytes(bytes(2**20))
    given = check_environment(tmp_path, [tmp_path / "uni"])[-1]
    assert (given.verdict, given.numbers["bytes"]) == ("ok", 2**20)
