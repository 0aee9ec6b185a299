import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_data import resample
from g2m_data.resample import Resampling, resample_slide
from g2m_data.slide import Slide


def as_slide(image):
    return Slide(path="memory", height=image.shape[0], width=image.shape[1], _read=lambda y, x: image[y, x])


def run(image, mpp, patch_um, patch_px):
    plan = Resampling.plan(*image.shape[:2], mpp, patch_um, patch_px)
    out = np.empty((plan.height, plan.width, 3), np.uint8)
    resample_slide(as_slide(image), plan, out)
    return plan, out


def blob(shape, x, y, sigma):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    darkness = 200 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(250 - darkness).astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 1.7), st.floats(60, 200), st.floats(60, 200))
def test_a_point_lands_where_the_mapping_says(scale, x, y):
    plan, out = run(blob((260, 270), x, y, sigma=6), mpp=scale, patch_um=1.0, patch_px=1)
    weight = 250 - out[..., 0].astype(float)
    weight[weight < 5] = 0
    rows, cols = np.mgrid[: plan.height, : plan.width]
    expected = ((x + 0.5) * plan.scale - 0.5, (y + 0.5) * plan.scale - 0.5)
    found = ((cols * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum())
    assert found == pytest.approx(expected, abs=0.1)


def test_shrinking_is_the_mean_over_exactly_the_area_covered():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 90, 3)).astype(np.uint8)
    _, out = run(image, mpp=1, patch_um=2.5, patch_px=1)  # 5 source pixels make 2
    fine = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1).astype(float)
    expected = fine.reshape(24, 5, 36, 5, 3).mean(axis=(1, 3))
    assert np.abs(out - expected).max() <= 0.51


def test_working_in_tiles_gives_what_one_piece_gives(monkeypatch):
    image = np.random.default_rng(1).integers(0, 255, (223, 311, 3)).astype(np.uint8)
    for mpp in (0.37, 0.881, 1.3):
        _, whole = run(image, mpp, 1.0, 1)
        monkeypatch.setattr(resample, "BAND", 17)
        monkeypatch.setattr(resample, "COLUMNS", 23)
        _, tiled = run(image, mpp, 1.0, 1)
        monkeypatch.undo()
        np.testing.assert_array_equal(whole, tiled)


@given(st.floats(0, 500), st.floats(0, 400), st.floats(0.2, 2), st.integers(8, 200))
def test_patch_centre_is_within_half_a_pixel(x, y, scale, pixels):
    plan = Resampling(scale=scale, height=2000, width=2000)
    top, left = plan.corners(np.array([[x, y]]), pixels)[0]
    centre = left + (pixels - 1) / 2, top + (pixels - 1) / 2
    assert abs(centre[0] - ((x + 0.5) * scale - 0.5)) <= 0.5 + 1e-9
    assert abs(centre[1] - ((y + 0.5) * scale - 0.5)) <= 0.5 + 1e-9


def test_patches_beyond_the_edge_are_told():
    plan = Resampling(scale=1, height=100, width=80)
    corners = np.array([[0, 0], [-1, 0], [68, 48], [69, 48], [68, 49]])
    assert plan.inside(corners, 32).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("scale", [0.37, 0.9, 1.6])
def test_each_row_of_tiles_is_read_once(scale, monkeypatch):
    monkeypatch.setattr(resample, "BAND", 20)
    image = np.random.default_rng(2).integers(0, 255, (203, 90, 3)).astype(np.uint8)
    asked = []

    def read(rows, columns):
        asked.append((rows.start, rows.stop))
        return image[rows, columns]

    slide = Slide(path="memory", height=203, width=90, _read=read, tile_rows=16)
    plan = Resampling.plan(203, 90, scale, 1.0, 1)
    out = np.empty((plan.height, plan.width, 3), np.uint8)
    resample_slide(slide, plan, out)
    assert all(start % 16 == 0 for start, _ in asked)
    assert [start for start, _ in asked[1:]] == [stop for _, stop in asked[:-1]]
    monkeypatch.undo()
    np.testing.assert_array_equal(out, run(image, scale, 1.0, 1)[1])
