import json

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from g2m_data.simulate.config import PRESETS

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
    assert table.loc[table["in_tissue"] == 1, "barcode"].tolist() == barcodes.tolist()


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
