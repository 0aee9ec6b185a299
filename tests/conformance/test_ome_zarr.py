"""image.zarr against ome-zarr-py, the reference reader of OME-Zarr."""

from itertools import pairwise

import numpy as np
import pytest

from g2m_data.image_store import CHUNK, write_image

reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr is not installed")
ome_io = pytest.importorskip("ome_zarr.io", reason="ome-zarr is not installed")


@pytest.fixture
def stored(tmp_path):
    y, x = np.mgrid[:1300, : CHUNK + 177]
    pixels = np.stack([x % 251, y % 241, (x + y) % 239], axis=-1).astype(np.uint8)
    write_image(tmp_path / "section", pixels, mpp=0.43)
    return tmp_path / "section" / "image.zarr", pixels


def test_reference_reader_finds_the_same_pixels_and_scale(stored):
    path, pixels = stored
    nodes = list(reader.Reader(ome_io.parse_url(path))())
    levels, metadata = nodes[0].data, nodes[0].metadata
    np.testing.assert_array_equal(np.asarray(levels[0]), pixels.transpose(2, 0, 1))
    assert [axis["name"] for axis in metadata["axes"]] == ["c", "y", "x"]
    assert [axis.get("unit") for axis in metadata["axes"]] == [None, "micrometer", "micrometer"]
    scales = [transforms[0]["scale"] for transforms in metadata["coordinateTransformations"]]
    assert scales == [[1.0, 0.43 * 2**level, 0.43 * 2**level] for level in range(len(levels))]


def test_each_level_is_the_mean_of_the_one_before(stored):
    path, _ = stored
    levels = [np.asarray(level) for level in next(iter(reader.Reader(ome_io.parse_url(path))())).data]
    assert len(levels) == 3
    for large, small in pairwise(levels):
        _, height, width = small.shape
        mean = large[:, : 2 * height, : 2 * width].reshape(3, height, 2, width, 2).mean(axis=(2, 4))
        assert np.abs(small - mean).max() <= 0.51
