import numpy as np
import pytest
import spatialdata as sd

from g2m_data.export import export_sample
from g2m_data.progress import silent


@pytest.mark.parametrize("sample", ["hd", "spots"])
def test_library_opens_slide_windows_and_counts_in_one_frame(dataset, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("g2m_data.export.spatial_store.APPENDED", 100)
    monkeypatch.setattr("g2m_data.export.spatial_store.SMALLEST", 40)  # a slide of several scales
    seen = []

    def track(sequence, description="", total=None):
        for item in silent(sequence):
            seen.append(total)
            yield item

    export_sample(dataset, sample, tmp_path / "out.zarr", to="spatialdata", track=track)
    store = sd.read_zarr(tmp_path / "out.zarr")
    rows = np.flatnonzero(dataset.obs["sample"] == sample)
    assert len(seen) == seen[0] == -(-len(rows) // 100)

    table = store.tables["table"]
    np.testing.assert_array_equal(table.X.toarray(), dataset.counts(rows).toarray())
    assert table.obs_names.tolist() == dataset.obs.index[rows].tolist()
    shapes = store.shapes[sample]
    xy = dataset.obs[["x", "y"]].to_numpy()[rows]
    centres = np.column_stack([shapes.centroid.x, shapes.centroid.y])
    np.testing.assert_allclose(centres, xy)
    joined, _ = sd.join_spatialelement_table(sdata=store, spatial_element_names=sample, table_name="table")
    assert len(joined[sample]) == len(rows)
    width = 55 / dataset.manifest["samples"][sample]["mpp"]
    measured = np.sqrt(shapes.area) if sample == "hd" else 2 * shapes["radius"]
    np.testing.assert_allclose(measured, width)

    # the slide's pixels and the patches' corners agree in `global`
    image = store.images[f"{sample}_slide"]["scale0"].image
    np.testing.assert_array_equal(np.moveaxis(image.values, 0, 2), dataset.slide(sample))
    to_global = sd.transformations.get_transformation(store.images[f"{sample}_slide"], "global")
    matrix = to_global.to_affine_matrix(("x", "y"), ("x", "y"))
    corner = matrix @ np.append(dataset.corners[rows[0]][::-1], 1)
    scale = dataset.manifest["samples"][sample]["slide"]["scale"]
    assert np.abs(corner[:2] + width / 2 - xy[0]).max() <= 0.5 / scale + 1e-6
