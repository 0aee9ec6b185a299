import h5py
import numpy as np
import pytest

from g2m_data.export import export_sample


@pytest.mark.parametrize("sample", ["hd", "spots"])
def test_patches_corners_and_names_are_the_datasets(dataset, sample, tmp_path):
    export_sample(dataset, sample, tmp_path / "out.h5", to="hest")
    rows = np.flatnonzero(dataset.obs["sample"] == sample)
    entry = dataset.manifest["samples"][sample]
    with h5py.File(tmp_path / "out.h5") as file:
        assert set(file) == {"img", "coords", "barcode"}
        np.testing.assert_array_equal(file["img"][:], dataset.patches(rows))
        assert file["barcode"].asstr()[:].flatten().tolist() == dataset.obs.index[rows].tolist()
        assert file["barcode"].shape == (len(rows), 1)
        coords, size = file["coords"][:], file["coords"].attrs["patch_size_src"]
        assert size == pytest.approx(55 / entry["mpp"])
        # a patch is placed to half a pixel of its own, and its corner rounded to half a pixel of the slide
        centres = coords + size / 2 - 0.5
        allowed = 0.5 / entry["slide"]["scale"] + 0.5 + 1e-6
        assert np.abs(centres - dataset.obs[["x", "y"]].to_numpy()[rows]).max() <= allowed
        assert "top-left" in file["coords"].attrs["coords"]
        assert "centre" in file["coords"].attrs["centre"]
        assert file.attrs["coords_centre"] == file["coords"].attrs["centre"]
        assert file["img"].attrs["pixel_size"] == pytest.approx(55 / 16)
