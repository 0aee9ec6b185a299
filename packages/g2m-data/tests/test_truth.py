import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2m_data.errors import InputError
from g2m_data.truth import TruthMaps, read_factors, read_genes, write_tables

NAMES = ("CX", "BAT")


def make_maps(seed: int = 0, pixel_px: float = 17.3) -> TruthMaps:
    rng = np.random.default_rng(seed)
    region = rng.choice([0, 1, 255], (12, 15), p=[0.4, 0.4, 0.2]).astype(np.uint8)
    factors = rng.standard_normal((2, 12, 15)).astype(np.float32)
    return TruthMaps(region, factors, NAMES, ("lumen", "eosin"), pixel_px)


@given(st.integers(0, 50), st.floats(-40, 300), st.floats(-40, 250), st.floats(18, 140))
def test_windows_agree_with_a_loop_over_cells(seed, x, y, width):
    maps = make_maps(seed)
    row = maps.sample(np.array([[x, y]]), width).iloc[0]
    cells, values = 0, []
    for r in range(-10, 25):
        for c in range(-10, 28):
            cx, cy = (c + 0.5) * maps.pixel_px, (r + 0.5) * maps.pixel_px
            if x - width / 2 <= cx < x + width / 2 and y - width / 2 <= cy < y + width / 2:
                cells += 1
                if 0 <= r < 12 and 0 <= c < 15 and maps.region[r, c] != 255:
                    values.append((maps.region[r, c], *maps.factors[:, r, c]))
    if not values:
        assert row["region"] == ""
        assert row["purity"] == 0
        assert np.isnan(row["lumen"])
        return
    counts = np.bincount([code for code, _, _ in values], minlength=2)
    assert row["region"] == NAMES[counts.argmax()]
    assert row["purity"] == pytest.approx(counts.max() / cells)
    assert row["lumen"] == pytest.approx(np.mean([v[1] for v in values]), abs=1e-5)
    assert row["eosin"] == pytest.approx(np.mean([v[2] for v in values]), abs=1e-5)


def test_save_and_load_keep_everything_without_pickles(tmp_path):
    maps = make_maps()
    maps.save(tmp_path, "one")
    again = TruthMaps.load(tmp_path, "one")
    np.testing.assert_array_equal(again.region, maps.region)
    np.testing.assert_array_equal(again.factors, maps.factors)
    assert (again.region_names, again.factor_names, again.pixel_px) == (NAMES, ("lumen", "eosin"), 17.3)
    with np.load(tmp_path / "one.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no truth for sample 'two'"):
        TruthMaps.load(tmp_path, "two")
    (tmp_path / "two.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"two\.npz is not a truth file"):
        TruthMaps.load(tmp_path, "two")
    with pytest.raises(InputError, match=r"factors\.csv does not exist"):
        read_factors(tmp_path)
    (tmp_path / "factors.csv").write_text("factor,regions\nlumen,CX\n")
    with pytest.raises(InputError, match="no column 'statistic'"):
        read_factors(tmp_path)


def test_tables_come_back(tmp_path):
    genes = pd.DataFrame(
        {"gene": ["Ucp1", "Nan"], "mean_CX": [0.5, 2.0], "factor": ["lumen", ""], "effect": [0.7, 0.0]}
    )
    factors = pd.DataFrame({"factor": ["lumen"], "regions": ["CX;BAT"], "statistic": ["lumen_share"], "sign": [1]})
    write_tables(tmp_path, genes, factors, {"SET": ("about", ("Ucp1", "Nan"))})
    pd.testing.assert_frame_equal(read_genes(tmp_path), genes)
    pd.testing.assert_frame_equal(read_factors(tmp_path), factors)
    assert (tmp_path / "gene_sets.gmt").read_text() == "SET\tabout\tUcp1\tNan\n"
