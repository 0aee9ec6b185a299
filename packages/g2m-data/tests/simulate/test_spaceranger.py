import json

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import sparse

from g2m_data.simulate.anatomy import draw_anatomy
from g2m_data.simulate.config import PRESETS
from g2m_data.simulate.counts import Molecules, count_bins
from g2m_data.simulate.spaceranger import write_outs
from g2m_data.simulate.tissue import sense_tissue

PLANS = {plan.id: plan for plan in PRESETS["tiny"].sections}


def home(study, sample):
    outs = study / "raw" / sample / "outs"
    return outs / "binned_outputs" / "square_002um" if PLANS[sample].layout == "hd" else outs


def positions(study, sample):
    spatial = home(study, sample) / "spatial"
    if PLANS[sample].layout == "hd":
        return pd.read_parquet(spatial / "tissue_positions.parquet")
    if PLANS[sample].layout == "spaceranger2":
        return pd.read_csv(spatial / "tissue_positions.csv")
    names = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
    return pd.read_csv(spatial / "tissue_positions_list.csv", header=None, names=names)


@pytest.mark.parametrize("sample", PLANS)
def test_matrix_and_positions_agree(study, sample):
    table = positions(study, sample)
    with h5py.File(home(study, sample) / "filtered_feature_bc_matrix.h5") as file:
        group = file["matrix"]
        barcodes = group["barcodes"].asstr()[:]
        genes, count = group["features/name"].asstr()[:], tuple(group["shape"][:])
        indptr, indices = group["indptr"][:], group["indices"][:]
        assert file.attrs["filetype"] == "matrix"
    assert count == (len(genes), len(barcodes))
    assert len(indptr) == len(barcodes) + 1
    assert indices.max() < len(genes)
    assert len(set(table["barcode"])) == len(table)
    listed = table.loc[table["in_tissue"] == 1, "barcode"].tolist()
    assert sorted(listed) == sorted(barcodes)
    assert (listed == barcodes.tolist()) == (sample != "hd1")  # Space Ranger lists bins in no order of the array


def test_both_headers_occur_among_the_visium_sections(study):
    first = {
        sample: next((home(study, sample) / "spatial").glob("tissue_positions*.csv")).read_text().split(",")[0]
        for sample in ("visium1", "visium2")
    }
    assert first["visium1"].endswith("-1")
    assert first["visium2"] == "barcode"


def test_bin_barcodes_spell_row_and_column(study):
    row = positions(study, "hd1").iloc[4321]
    assert row["barcode"] == f"s_002um_{row['array_row']:05d}_{row['array_col']:05d}-1"


@pytest.mark.parametrize("sample", PLANS)
def test_slides_are_tiled_jpeg_of_the_scanners_resolution(study, sample):
    plan = PLANS[sample]
    path = next((study / "raw" / sample).glob("tissue.*"))
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert page.is_tiled
        assert page.compression.name == "JPEG"
        assert tiff.is_bigtiff == (path.suffix == ".btf")
        number, of = page.tags["XResolution"].value
        assert 1e4 / (number / of) == pytest.approx(plan.mpp, rel=1e-4)
        height, width = page.shape[:2]
    table = positions(study, sample)
    assert table["pxl_col_in_fullres"].between(0, width).all()
    assert table["pxl_row_in_fullres"].between(0, height).all()


@pytest.mark.parametrize("sample", PLANS)
def test_scale_factors_fit_the_thumbnails(study, sample):
    spatial = home(study, sample) / "spatial"
    scale = json.loads((spatial / "scalefactors_json.json").read_text())
    path = next((study / "raw" / sample).glob("tissue.*"))
    with tifffile.TiffFile(path) as tiff:
        slide = tiff.pages[0].shape
    for name in ("hires", "lowres"):
        import cv2

        image = cv2.imread(str(spatial / f"tissue_{name}_image.png"))
        assert image.shape[1] / slide[1] == pytest.approx(scale[f"tissue_{name}_scalef"], rel=0.01)
    if PLANS[sample].layout == "hd":
        assert scale["bin_size_um"] / scale["spot_diameter_fullres"] == pytest.approx(scale["microns_per_pixel"])
    else:
        assert "microns_per_pixel" not in scale


def test_files_do_not_depend_on_how_the_molecules_were_portioned(section, join_molecules, tmp_path):
    plan, settings = section.settings.sections[0], section.settings
    anatomy = draw_anatomy(plan, settings, np.random.default_rng(0))
    tissue = sense_tissue(plan, settings, section.panel, anatomy, np.zeros((0, 3)), np.random.default_rng(1))
    genes = [section.panel.every_gene[index] for index in tissue.measured]
    strips = list(count_bins(plan, tissue, np.random.default_rng(2)))
    whole = join_molecules(strips)
    quarter = np.full((100, 120, 3), 240, np.uint8)
    for name, portions in (("strips", strips), ("whole", [whole])):
        write_outs(tmp_path / name, plan, iter(portions), genes, quarter, np.random.default_rng(3))
    homes = [tmp_path / name / "binned_outputs" / "square_002um" for name in ("strips", "whole")]
    for home in homes:
        with h5py.File(home / "filtered_feature_bc_matrix.h5") as file:
            group = file["matrix"]
            assert group["shape"][:].tolist() == [len(genes), whole.in_tissue.sum()]
            assert [group[name].dtype for name in ("data", "indices", "indptr")] == ["int32", "int64", "int64"]
            parts = (group["data"][:], group["indices"][:], group["indptr"][:])
            order = np.argsort(group["barcodes"][:])  # as bins lie in the array
            assert (np.diff(order) < 0).any()
            found = sparse.csr_array(parts, shape=whole.counts.shape)[order]
        np.testing.assert_array_equal(found.data, whole.counts.data)
        np.testing.assert_array_equal(found.indices, whole.counts.indices)
        np.testing.assert_array_equal(found.indptr, whole.counts.indptr)
    first, second = (pd.read_parquet(home / "spatial" / "tissue_positions.parquet") for home in homes)
    pd.testing.assert_frame_equal(first, second)
    np.testing.assert_array_equal(first[["pxl_col_in_fullres", "pxl_row_in_fullres"]], whole.xy_um / plan.mpp)


def test_gzip_is_as_asked(section, tmp_path):
    plan = section.settings.sections[3]
    molecules = Molecules(*np.zeros((2, 3), int), np.zeros((3, 2)), np.ones(3, bool), sparse.csr_array((3, 1)))
    write_outs(tmp_path, plan, [molecules], ["Umod"], np.zeros((9, 9, 3), np.uint8), np.random.default_rng(0), gzip=4)
    with h5py.File(tmp_path / "filtered_feature_bc_matrix.h5") as file:
        assert file["matrix/data"].compression_opts == file["matrix/indices"].compression_opts == 4


def test_tissue_in_the_image_is_where_the_positions_say(study):
    for sample in PLANS:
        table = positions(study, sample)
        image = tifffile.imread(next((study / "raw" / sample).glob("tissue.*")))
        half = 60 if PLANS[sample].platform == "visium" else 0
        inside = []
        for state in (0, 1):
            some = table[table["in_tissue"] == state].sample(
                min(60, (table["in_tissue"] == state).sum()), random_state=0
            )
            values = [
                image[max(int(y) - half, 0) : int(y) + half + 1, max(int(x) - half, 0) : int(x) + half + 1, 1].mean()
                for x, y in zip(some["pxl_col_in_fullres"], some["pxl_row_in_fullres"], strict=True)
            ]
            inside.append(np.mean(values))
        assert inside[1] < inside[0] - 40
