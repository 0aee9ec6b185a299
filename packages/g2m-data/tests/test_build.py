import json
import os
import platform
import subprocess
import sys

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from g2m_data import InputError, build_dataset, describe_dataset, open_dataset, study_id


def build(maker, tmp_path, **sections):
    out = tmp_path / "dataset"
    build_dataset(maker.manifest(**sections), out)
    return open_dataset(out)


@pytest.mark.parametrize("layout", ["visium-1", "visium-2", "list-with-header"])
def test_every_visium_layout_gives_the_same_pairs(maker, make_spots, tmp_path, layout):
    section = make_spots()
    section.in_tissue[0] = True
    maker.add(section, platform="visium", layout=layout, prefix="Kidney_")
    dataset = build(maker, tmp_path)
    tissue = section.in_tissue
    assert len(dataset) == tissue.sum()
    assert set(dataset.obs.index) == {f"one:{b}" for b, kept in zip(section.barcodes, tissue, strict=True) if kept}
    np.testing.assert_allclose(dataset.obs[["x", "y"]], section.xy[tissue])
    totals = section.counts[tissue].sum(axis=1)
    np.testing.assert_array_equal(dataset.obs["total_counts"], totals)
    expected = np.log1p(section.counts[tissue] / totals[:, None] * np.median(totals))
    np.testing.assert_allclose(dataset.expression(slice(None)), expected, rtol=1e-5)


def test_panel_is_common_genes_in_the_first_sections_order(maker, make_spots, tmp_path):
    first = make_spots(genes=["Z", "A", "M", "B", "Q"])
    second = make_spots(genes=["B", "M", "X", "Z"], seed=1)
    maker.add(first, "a")
    maker.add(second, "b", split="test")
    dataset = build(maker, tmp_path)
    assert dataset.genes == ["Z", "M", "B"]
    assert open_dataset(dataset.path, split="test").samples == ["b"]
    part = open_dataset(dataset.path, samples=["b"])
    counts = np.expm1(part.expression([0])) * part.obs["total_counts"].iloc[0] / np.expm1(part.expression([0])).sum()
    np.testing.assert_allclose(counts[0], second.counts[second.in_tissue][0][[3, 1, 0]], rtol=1e-4)


def test_repeated_symbol_that_is_another_gene_elsewhere_is_left_out_and_named(maker, make_spots, tmp_path):
    maker.add(make_spots(genes=["Z", "Gm1", "Gm1", "B"]), "a")
    maker.add(make_spots(genes=["Gm1", "B", "Z"], seed=1), "b")  # of which Ensembl id is told by its place here
    dataset = build(maker, tmp_path)
    assert dataset.genes == ["Z", "B"]
    note = "1 repeated symbols are another gene in another section and were left out: Gm1"
    assert [entry["notes"][-1] for entry in dataset.manifest["samples"].values()] == [note, note]


def test_given_panel_is_filled_with_zeros_and_says_so(maker, make_spots, tmp_path):
    maker.add(make_spots())
    (maker.folder / "genes.txt").write_text("\n".join(["Absent", *(f"Gene{i}" for i in range(24, 4, -1))]))
    dataset = build(maker, tmp_path, study='genes = "genes.txt"')
    assert dataset.genes[:2] == ["Absent", "Gene24"]
    assert (dataset.expression([0, 1])[:, 0] == 0).all()
    entry = dataset.manifest["samples"]["one"]
    assert entry["genes_missing"] == 1
    assert "1 genes of the panel are not in" in entry["notes"][0]


def test_stored_files_open_with_their_own_libraries(maker, make_hd, tmp_path):
    section = make_hd()
    maker.add(section, platform="visium-hd")
    dataset = build(maker, tmp_path)
    bins = ad.read_zarr(dataset.path / "samples" / "one" / "bins.zarr")
    assert bins.shape == (section.in_tissue.sum(), len(section.genes))
    np.testing.assert_array_equal(bins.X.toarray(), section.counts[section.in_tissue])
    np.testing.assert_allclose(bins.obsm["spatial"], section.xy[section.in_tissue])
    assert (dataset.path / "genes.txt").read_text().split() == section.genes


def test_dataset_json_says_what_a_report_needs(maker, make_hd, tmp_path):
    maker.add(make_hd(rotation=2.0, flip_rows=True), platform="visium-hd")
    dataset = build(maker, tmp_path)
    content = json.loads((dataset.path / "dataset.json").read_text())
    entry = content["samples"]["one"]
    assert (entry["platform"], entry["split"], entry["patch_um"]) == ("visium-hd", "train", 55)
    assert entry["mpp"] == pytest.approx(0.31)
    assert entry["spots"] == len(dataset) > 0
    assert entry["lattice"]["rotation_deg"] == pytest.approx(2.0, abs=1e-3)
    assert entry["lattice"]["flip_rows"]
    assert content["genes"] == 23
    assert content["id"] == study_id(maker.folder / "study.toml")
    assert content["provenance"]["settings"]["view"] == {"window_bins": 27, "stride_bins": 5}
    assert all(len(f["sha256"]) == 64 for f in content["provenance"]["inputs"]["one"])
    described = dataset.describe()
    assert described.samples.loc["one", "pairs"] == len(dataset)
    unopened = describe_dataset(dataset.path)
    pd.testing.assert_frame_equal(unopened.samples, described.samples)
    assert (unopened.id, unopened.genes, unopened.view) == (described.id, described.genes, described.view)


def test_id_follows_settings_and_inputs_but_not_the_folder(maker, make_spots, tmp_path):
    folder = maker.add(make_spots())
    before = study_id(maker.manifest())
    maker.folder.rename(tmp_path / "moved")
    maker.folder = tmp_path / "moved"
    assert study_id(tmp_path / "moved" / "study.toml") == before
    assert study_id(maker.manifest(patch="pixels = 64")) != before
    scalefactors = maker.folder / folder.name / "spatial" / "scalefactors_json.json"
    scalefactors.write_text(scalefactors.read_text() + " ")
    assert study_id(maker.manifest()) != before


def test_patches_partly_outside_the_slide_are_dropped_and_counted(maker, make_spots, tmp_path):
    section = make_spots(margin_px=20.0)  # a spot's radius is 30 pixels
    section.slide = section.slide[: -(120 - 20), : -(120 - 20)]
    maker.add(section)
    dataset = build(maker, tmp_path)
    entry = dataset.manifest["samples"]["one"]
    assert entry["dropped"] > 0
    assert entry["dropped"] + len(dataset) == section.in_tissue.sum()
    assert len(dataset.patches(slice(None))) == len(dataset)


def test_macenko_is_applied_to_the_whole_slide(maker, make_spots, stained_image, tmp_path):
    section = make_spots()
    height, width = section.slide.shape[:2]
    section.slide = np.tile(stained_image, (height // 160 + 1, width // 200 + 1, 1))[:height, :width].copy()
    maker.add(section)
    out = tmp_path / "raw"
    build_dataset(maker.manifest(), out)
    normal = build(maker, tmp_path, patch='stain = "macenko"')
    assert np.abs(normal.patches([0]).astype(int) - open_dataset(out).patches([0])).mean() > 5


# ---- mistakes ------------------------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def unknown_barcode(folder):
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "a") as file:
        barcodes = file["matrix/barcodes"][:]
        barcodes[2] = b"unknown-1"
        file["matrix/barcodes"][:] = barcodes


def small_slide(folder, save_slide):
    save_slide(folder / "slide.tif", np.full((300, 300, 3), 240, np.uint8))


MISTAKES = {
    "truncated matrix": (
        lambda f, s: truncate(f / "filtered_feature_bc_matrix.h5"),
        r"matrix\.h5: truncated or damaged",
    ),
    "no matrix": (lambda f, s: (f / "filtered_feature_bc_matrix.h5").unlink(), r"no filtered_feature_bc_matrix\.h5"),
    "other positions": (lambda f, s: unknown_barcode(f), r"does not list 1 of the .* barcodes in .*unknown-1"),
    "no positions": (lambda f, s: (f / "spatial" / "tissue_positions.csv").unlink(), "no tissue_positions"),
    "bad json": (lambda f, s: (f / "spatial" / "scalefactors_json.json").write_text("{"), "cannot be read as JSON"),
    "small slide": (lambda f, s: small_slide(f, s), r"slide\.tif: the slide has 300 x 300 pixels"),
    "truncated slide": (lambda f, s: truncate(f / "slide.tif"), r"slide\.tif"),
    "no slide": (lambda f, s: (f / "slide.tif").unlink(), "no such slide image"),
    "no tissue": (lambda f, s: None, r"slide\.tif: no stained tissue"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_one_line_and_leaves_nothing_behind(maker, make_spots, save_slide, tmp_path, mistake):
    spoil, complaint = MISTAKES[mistake]
    maker.add(make_spots(seed=2), "good")
    bad = make_spots()
    bad.slide = np.random.default_rng(0).integers(0, 255, bad.slide.shape).astype(np.uint8) // 8 + 220
    folder = maker.add(bad, "bad")
    manifest = maker.manifest(patch='stain = "macenko"' if mistake == "no tissue" else 'stain = "none"')
    spoil(folder, save_slide)
    target = tmp_path / "out" / "dataset"
    with pytest.raises(InputError, match=complaint) as caught:
        build_dataset(manifest, target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_square_lattice_needs_a_platform_and_builds_with_it(maker, make_spots, tmp_path):
    maker.add(make_spots(rows=6, cols=6, platform="st", mpp=1.1))
    with pytest.raises(InputError, match="not on Visium's lattice"):
        build(maker, tmp_path)
    maker.entries[0]["platform"] = "st"
    entry = build(maker, tmp_path).manifest["samples"]["one"]
    assert entry["mpp"] == pytest.approx(1.1, rel=1e-6)
    assert (entry["platform"], entry["patch_um"]) == ("st", 100)


def test_platform_that_the_folder_contradicts_is_refused(maker, make_hd, tmp_path):
    maker.add(make_hd(), platform="visium-hd")
    maker.entries[0]["platform"] = "visium"
    with pytest.raises(InputError, match="the manifest says platform 'visium', but the folder holds bins"):
        build(maker, tmp_path)


def test_existing_output_is_refused_and_only_a_dataset_is_overwritten(maker, make_spots, tmp_path):
    maker.add(make_spots())
    manifest, out = maker.manifest(), tmp_path / "dataset"
    build_dataset(manifest, out)
    with pytest.raises(InputError, match="exists already"):
        build_dataset(manifest, out)
    build_dataset(manifest, out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir() if "dataset" in path.name] == ["dataset"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="is not a dataset"):
        build_dataset(manifest, tmp_path / "mine", overwrite=True)


def test_what_a_killed_build_left_is_swept_and_a_running_one_is_not(maker, make_spots, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, alive = (tmp_path / f".dataset.building-{platform.node()}-{pid}" for pid in (process.pid, os.getppid()))
    for folder in (dead, alive):
        (folder / "samples").mkdir(parents=True)
    maker.add(make_spots())
    build_dataset(maker.manifest(), tmp_path / "dataset")
    assert (dead.exists(), alive.exists()) == (False, True)


def test_output_that_cannot_be_written_is_one_line(maker, make_spots, tmp_path):
    maker.add(make_spots())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="nothing was built"):
        build_dataset(maker.manifest(), tmp_path / "file" / "dataset")


def test_section_without_a_whole_window_is_refused(maker, make_hd, tmp_path):
    maker.add(make_hd(rows=20, cols=20), platform="visium-hd")
    with pytest.raises(InputError, match="no window of bins lies wholly under tissue"):
        build(maker, tmp_path)


def test_bins_that_the_matrix_leaves_out_are_empty_tissue(maker, make_hd, tmp_path):
    section = make_hd()
    absent = np.flatnonzero(section.in_tissue)[700]
    whole = section.in_tissue.copy()
    section.in_tissue[absent] = False
    folder = maker.add(section, platform="visium-hd")
    import pandas as pd

    path = folder / "binned_outputs" / "square_002um" / "spatial" / "tissue_positions.parquet"
    pd.read_parquet(path).assign(in_tissue=whole.astype(int)).to_parquet(path)
    dataset = build(maker, tmp_path)
    bins = ad.read_zarr(dataset.path / "samples" / "one" / "bins.zarr")
    assert bins.n_obs == whole.sum()
    assert (np.asarray(bins.X.sum(axis=1)).ravel() == 0).sum() == 1
