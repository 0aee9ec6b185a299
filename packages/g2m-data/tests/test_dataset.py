from dataclasses import replace

import numpy as np
import pytest

from g2m_data import InputError, View, build_dataset, open_dataset

PLACES = {
    "plain": {},
    "rows flipped": {"flip_rows": True},
    "columns flipped": {"flip_cols": True},
    "both flipped, rotated": {"flip_rows": True, "flip_cols": True, "rotation": 4.0},
    "rotated, coarse": {"rotation": -3.0, "mpp": 0.62},
    "rotated and mirrored, fine": {"rotation": 6.0, "flip_cols": True, "mpp": 0.19, "margin_px": 210.0},
}


def paint(section, places, mpp):
    """A soft dark disc at each place, with its centre known to a fraction of a pixel."""
    rows, cols = np.mgrid[: section.slide.shape[0], : section.slide.shape[1]]
    darkness = np.zeros(rows.shape)
    for x, y in places:
        darkness += np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * (3 / mpp) ** 2))
    section.slide[:] = np.rint(245 - 200 * np.clip(darkness, 0, 1))[..., None]


def displacement(patch):
    """Of a patch's dark disc from the patch's centre, in pixels (x, y)."""
    weight = np.clip(235 - patch[..., 0].astype(float), 0, None)
    rows, cols = np.mgrid[: patch.shape[0], : patch.shape[1]]
    centre = (patch.shape[0] - 1) / 2
    return (cols * weight).sum() / weight.sum() - centre, (rows * weight).sum() / weight.sum() - centre


def counts_of(dataset, indices):
    """Undo the normalisation."""
    linear = np.expm1(dataset.expression(indices).astype(np.float64))
    return linear / linear.sum(axis=1, keepdims=True) * dataset.obs["total_counts"].to_numpy()[indices, None]


@pytest.mark.parametrize("name", PLACES)
def test_window_and_patch_of_a_bin_share_its_centre_to_half_a_pixel(maker, make_hd, tmp_path, name):
    where = PLACES[name]
    section = make_hd(**where)
    mpp = where.get("mpp", 0.31)
    # one bin that is the centre of a window, wherever the stride puts it: paint there
    marked = np.flatnonzero((section.array == (403 + 20 + 0, 1201 + 21)).all(axis=1))[0]
    centre = section.array[marked] - (section.array[marked] - 13) % 5
    marked = np.flatnonzero((section.array == centre).all(axis=1))[0]
    paint(section, [section.xy[marked]], mpp)
    maker.add(section, platform="visium-hd")
    build_dataset(maker.manifest(), tmp_path / "dataset")
    dataset = open_dataset(tmp_path / "dataset")

    index = dataset.obs.index.get_loc(f"one:{section.barcodes[marked]}")
    shift = displacement(dataset.patches([index])[0])
    assert np.abs(shift).max() <= 0.55  # half a pixel, and what eight bits hide
    counts = dict(zip(dataset.genes, counts_of(dataset, [index])[0], strict=True))
    assert (counts["ROW"] / counts["ONE"], counts["COL"] / counts["ONE"]) == pytest.approx(tuple(centre), abs=1e-3)
    assert counts["ONE"] == pytest.approx(27 * 27, rel=1e-4)


@pytest.mark.parametrize("platform", ["visium", "st"])
def test_spot_and_patch_share_their_centre_to_half_a_pixel(maker, make_spots, tmp_path, platform):
    section = make_spots(7, 8, platform=platform, rotation=3.0, flip_rows=True, mpp=1.3)
    section.in_tissue[:] = True
    paint(section, section.xy, 1.3)
    maker.add(section, platform=platform)
    build_dataset(maker.manifest(patch='pixels = 64\nstain = "none"'), tmp_path / "dataset")
    dataset = open_dataset(tmp_path / "dataset")
    shifts = np.array([displacement(patch) for patch in dataset.patches(range(len(dataset)))])
    assert np.abs(shifts).max() <= 0.55
    assert np.abs(shifts.mean(axis=0)).max() < 0.1  # no systematic half pixel either


@pytest.mark.parametrize("name", ["plain", "both flipped, rotated"])
def test_window_sums_match_naive_loop_from_file_to_expression(maker, make_hd, tmp_path, name):
    section = make_hd(**PLACES[name])
    maker.add(section, platform="visium-hd", prefix="Kidney_")
    build_dataset(maker.manifest(view="window_bins = 9\nstride_bins = 4"), tmp_path / "dataset")
    dataset = open_dataset(tmp_path / "dataset")
    bins = {tuple(p): c for p, c, t in zip(section.array.tolist(), section.counts, section.in_tissue, strict=True) if t}
    expected = []
    for row, col in dataset.obs[["array_row", "array_col"]].to_numpy().tolist():
        window = [(row + i, col + j) for i in range(-4, 5) for j in range(-4, 5)]
        expected.append(np.sum([bins[place] for place in window], axis=0))
    expected = np.array(expected)
    np.testing.assert_array_equal(dataset.obs["total_counts"], expected.sum(axis=1))
    np.testing.assert_allclose(counts_of(dataset, np.arange(len(dataset))), expected, rtol=2e-3, atol=2e-3)
    xy = dict(zip(section.barcodes, section.xy.tolist(), strict=True))
    for barcode, x, y in dataset.obs[["x", "y"]].itertuples():
        assert (x, y) == pytest.approx(xy[barcode.split(":")[1]])


@pytest.fixture
def two(maker, make_hd, make_spots, tmp_path):
    hd = make_hd()
    hd.slide = np.random.default_rng(0).integers(0, 255, hd.slide.shape).astype(np.uint8)
    maker.add(hd, "hd", platform="visium-hd")
    maker.add(make_spots(genes=hd.genes), "spots", platform="visium", split="test")
    build_dataset(maker.manifest(), tmp_path / "dataset")
    return tmp_path / "dataset"


def test_another_view_changes_neither_the_target_nor_the_spots(two):
    default, other = open_dataset(two), open_dataset(two, view=View(window_bins=9, stride_bins=2))
    assert len(other) > len(default)
    target = default.manifest["samples"]["hd"]["library_size_target"]
    assert target == np.median(default.obs.loc[default.obs["sample"] == "hd", "total_counts"])
    np.testing.assert_allclose(np.expm1(other.expression([0, 5])).sum(axis=1), target, rtol=1e-4)
    np.testing.assert_allclose(np.expm1(default.expression([0, 5])).sum(axis=1), target, rtol=1e-4)
    assert (other.obs["sample"] == "spots").sum() == (default.obs["sample"] == "spots").sum()


def test_windows_with_holes_are_pairs_if_the_view_says_so_and_count_what_they_have(two):
    view = View(window_bins=9, stride_bins=4)
    whole = open_dataset(two, samples=["hd"], view=view)
    loose = open_dataset(two, samples=["hd"], view=replace(view, min_coverage=0.6, all_bins=False))
    assert set(whole.obs.index) < set(loose.obs.index)
    np.testing.assert_array_equal(loose.counts(slice(None)).sum(axis=1), loose.obs["total_counts"])
    bins = loose.counts(slice(None))[:, [loose.genes.index("ONE")]].toarray().ravel()  # each bin has one of it
    assert 0.6 * 81 <= bins.min() < 81 == bins.max()
    linear = np.expm1(loose.expression(slice(None))).sum(axis=1)
    np.testing.assert_allclose(linear, loose.manifest["samples"]["hd"]["library_size_target"], rtol=1e-4)
    with pytest.raises(InputError, match="no window of 401 x 401 bins lies under tissue with its centre and 90 %"):
        open_dataset(two, samples=["hd"], view=View(window_bins=401, min_coverage=0.9))


def test_indices_may_mix_sections_repeat_and_count_from_the_end(two):
    dataset = open_dataset(two)
    every, patches = dataset.expression(slice(None)), dataset.patches(slice(None))
    index = [len(dataset) - 1, 0, 3, 0, -2]
    np.testing.assert_array_equal(dataset.expression(index), every[index])
    np.testing.assert_array_equal(dataset.patches(np.array(index)), patches[index])
    assert dataset.expression([]).shape == (0, len(dataset.genes))
    with pytest.raises(IndexError):
        dataset.patches([len(dataset)])


def test_patches_are_slices_of_the_slide_at_the_corners(two):
    dataset = open_dataset(two)
    for index in (0, len(dataset) - 1):
        top, left = dataset.corners[index]
        slide = dataset.slide(dataset.obs["sample"].iloc[index])
        np.testing.assert_array_equal(dataset.patches([index])[0], slide[top : top + 128, left : left + 128])


def test_cache_is_rebuilt_when_missing_or_cut_short(two):
    before = open_dataset(two).patches([0, 1])
    cache = two / "samples" / "hd" / "cache" / "slide.npy"
    cache.write_bytes(cache.read_bytes()[:5000])
    np.testing.assert_array_equal(open_dataset(two).patches([0, 1]), before)
    cache.unlink()
    cache.parent.rmdir()
    np.testing.assert_array_equal(open_dataset(two).patches([0, 1]), before)
    assert [path.name for path in cache.parent.iterdir()] == ["slide.npy"]


def test_selections_keep_order_and_refuse_what_is_not_there(two):
    assert open_dataset(two, split="test").samples == ["spots"]
    assert open_dataset(two, samples=["spots", "hd"]).samples == ["hd", "spots"]
    for arguments, complaint in [
        ({"split": "tests"}, "unknown split"),
        ({"samples": ["x"]}, "no sample 'x'"),
        ({"split": "validation"}, "no section is left"),
        ({"samples": ["hd"], "view": View(window_bins=401)}, "no window of 401 x 401 bins"),
    ]:
        with pytest.raises(InputError, match=complaint):
            open_dataset(two, **arguments)
    with pytest.raises(InputError, match=r"not a dataset.*g2m data build"):
        open_dataset(two.parent)


def test_view_without_a_centre_bin_is_refused():
    with pytest.raises(InputError, match="must be odd"):
        View(window_bins=4)


def test_changed_panel_is_noticed(two):
    path = two / "genes.txt"
    path.write_text("\n".join(reversed(path.read_text().split())) + "\n")
    with pytest.raises(InputError, match=r"genes\.txt: not the panel"):
        open_dataset(two)


def test_real_sections_have_no_truth(two):
    assert open_dataset(two).truth() is None
    assert open_dataset(two).truth_factors() is None


def test_a_mask_chooses_pairs_and_what_is_neither_is_refused(two):
    dataset = open_dataset(two)
    mask = np.arange(len(dataset)) % 3 == 0
    np.testing.assert_array_equal(dataset.expression(mask), dataset.expression(np.flatnonzero(mask)))
    for wrong in (mask[:-1], [0.0, 1.0], ["a"]):
        with pytest.raises(InputError, match=f"a mask of all {len(dataset)}"):
            dataset.patches(wrong)


def test_counts_are_whole_numbers_that_expression_comes_from(two):
    dataset = open_dataset(two)
    every = dataset.counts(slice(None))
    assert every.dtype == np.int32
    assert every.has_canonical_format
    np.testing.assert_array_equal(every.sum(axis=1), dataset.obs["total_counts"])
    np.testing.assert_allclose(every.toarray(), counts_of(dataset, np.arange(len(dataset))), rtol=2e-3, atol=2e-3)
    index = [len(dataset) - 1, 0, 3, 0, -2]
    np.testing.assert_array_equal(dataset.counts(index).toarray(), every.toarray()[index])
    assert dataset.counts([]).shape == (0, len(dataset.genes))
    for sample in dataset.samples:
        rows = np.flatnonzero(dataset.obs["sample"] == sample)
        parts = [(part, sums.copy()) for part, sums in dataset.stream_counts(sample, block=7)]
        assert (parts[0][0].start, parts[-1][0].stop) == (rows[0], rows[-1] + 1)
        np.testing.assert_array_equal(np.concatenate([sums for _, sums in parts]), every.toarray()[rows])
    with pytest.raises(InputError, match="no sample 'x' is open"):
        next(dataset.stream_counts("x"))
