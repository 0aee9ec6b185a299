import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2m_data.simulate.anatomy import OUTSIDE, REGIONS
from g2m_data.simulate.staining import (
    MEAN_GREEN,
    MEAN_RED,
    Painter,
    develop,
    even_out,
    make_grain,
    match_means,
)


@pytest.fixture(scope="module")
def painter(section) -> Painter:
    painter = Painter(section.scene, section.anatomy, section.plan.mpp, make_grain(section.plan.mpp, 0))
    even_out(painter)
    return painter


def test_a_tile_does_not_depend_on_what_else_is_painted_not_even_at_its_edges(painter):
    whole = painter.concentrations(0, 0, 900, 700)
    part = painter.concentrations(0, 0, 400, 300)
    np.testing.assert_allclose(part, whole[:300, :400], atol=1e-3)


def test_glass_is_white_and_tissue_is_not(painter, section):
    image = develop(painter.concentrations(0, 0, 1024, 1024), section.plan)
    yy, xx = (np.indices(image.shape[:2]) + 0.5) * section.plan.mpp
    level = section.anatomy.level_at(np.stack([xx, yy], axis=-1))
    assert (image[level < -4] == np.array(section.plan.white, np.uint8)).all()
    assert np.median(image[level > 8][:, 1]) < 200


def test_regions_share_one_mean_colour(painter, section):
    width, height = (int(side / section.plan.mpp) for side in section.anatomy.size_um)
    means = {name: [] for name in REGIONS}
    for y in range(0, height, 1024):
        for x in range(0, width, 1024):
            w, h = min(1024, width - x), min(1024, height - y)
            image = develop(painter.concentrations(x, y, w, h), section.plan)
            yy, xx = np.indices((h, w)) + 0.5
            points = np.stack([xx + x, yy + y], axis=-1) * section.plan.mpp
            region = section.anatomy.at(section.anatomy.region, points)
            for code, name in enumerate(REGIONS):
                means[name].append(image[region == code].astype(float))
    colours = np.stack([np.concatenate(values).mean(axis=0) for values in means.values()])
    assert np.ptp(colours, axis=0).max() < 14  # of 255; the patches of one region spread by about as much


@given(st.integers(0, 100), st.floats(0.4, 0.7), st.floats(0.7, 1.3))
def test_match_means_reaches_the_common_colour(seed, haematoxylin, eosin):
    rng = np.random.default_rng(seed)
    pixels = rng.gamma(4.0, 0.25, (2000, 2)).astype(np.float32) * (haematoxylin, eosin)
    gain = match_means(pixels)
    light = np.exp(-(pixels * gain) @ np.array([(0.5626, 0.7201), (0.2159, 0.8012)]))
    inside = (gain > 0.6) & (gain < 1.8)
    if inside.all():
        np.testing.assert_allclose(light.mean(axis=0), (MEAN_RED, MEAN_GREEN), atol=2e-3)


def test_each_section_stains_differently(painter, section):
    layers = np.full((4, 4, 2), 0.5, np.float32)
    other = section.settings.sections[1]
    assert np.abs(develop(layers, section.plan).astype(int) - develop(layers, other)).max() > 5
    assert (section.anatomy.region == OUTSIDE).any()
