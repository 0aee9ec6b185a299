import shutil

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr

from g2m_data.count_store import read_places
from g2m_data.errors import InputError

COLUMNS = {"array_row": [3, 3, 4], "array_col": [1, 2, 0], "total_counts": [5, 0, 7]}
XY = np.ones((3, 2))


@pytest.fixture
def store(tmp_path):
    def store(xy=XY, **columns):
        obs = pd.DataFrame(COLUMNS | columns, index=["a", "b", "c"])
        group = zarr.open_group(tmp_path / "bins.zarr", mode="w", zarr_format=3)
        with ad.settings.override(auto_shard_zarr_v3=False):
            ad.io.write_elem(group, "obs", obs)
            ad.io.write_elem(group, "obsm", {"spatial": np.asarray(xy)})
        return tmp_path / "bins.zarr"

    return store


def test_places_are_read(store):
    places = read_places(store())
    assert places.array.tolist() == [[3, 1], [3, 2], [4, 0]]
    assert (places.barcodes.tolist(), places.total_counts.tolist()) == (["a", "b", "c"], [5, 0, 7])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"array_row": [3, 4, 3]}, "places out of order"),
        ({"array_col": [1, 1, 0]}, "places out of order"),
        ({"array_row": [-1, 3, 4]}, "places beyond any array"),
        ({"array_row": [3, 3, 2**31 - 1]}, "places beyond any array"),
        ({"array_row": ["x", "y", "z"]}, ""),
        ({"xy": np.ones((2, 2))}, "coordinates that do not match"),
        ({"xy": np.full((3, 2), np.nan)}, "coordinates that do not match"),
    ],
)
def test_damaged_places_are_one_line(store, damage, complaint):
    with pytest.raises(InputError, match=rf"bins\.zarr: .*damaged \(.*{complaint}.*\); build the dataset again"):
        read_places(store(**damage))


@pytest.mark.parametrize(
    "lost",
    ["obs", "obs/total_counts", "obs/zarr.json", "obs/array_row/c/0", "obs/_index/c/0", "obsm", "obsm/spatial/c/0/0"],
)
def test_lost_parts_are_one_line(store, lost):
    root = store()
    path = root / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"bins\.zarr: .*missing or damaged") as caught:
        read_places(root)
    assert "\n" not in str(caught.value)
