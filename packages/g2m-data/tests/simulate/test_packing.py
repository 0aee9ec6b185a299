import numpy as np

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, REGIONS
from g2m_data.simulate.drawing import towards
from g2m_data.simulate.packing import DIRECTIONS, KINDS, MIXTURE, drawn_factors, nearest


def test_outlines_hardly_overlap(section):
    packing = section.packing
    tube = np.random.default_rng(0).integers(0, len(packing.xy_um), 3000)
    slot = np.random.default_rng(1).integers(0, DIRECTIONS, 3000)
    angle = slot * 2 * np.pi / DIRECTIONS
    rim = packing.xy_um[tube] + (packing.outline_um[tube, slot])[:, None] * towards(angle)
    # a rim is its own tube's edge; deeper than 2 um inside another tube would be an overlap
    assert (packing.clearance(rim) < -2).mean() < 0.02


def test_every_centre_is_inside_its_own_outline_and_in_tissue(section):
    assert (section.packing.clearance(section.packing.xy_um) < 0).all()
    assert (section.packing.region != OUTSIDE).all()


def test_kinds_stay_in_their_regions(section):
    for code, name in enumerate(REGIONS):
        found = {KINDS[kind] for kind in section.packing.kind[section.packing.region == code]}
        assert found <= set(MIXTURE[name]) | {"glomerulus"}
        assert len(found) >= 2


def test_tissue_is_filled(section):
    cortex = np.argwhere(section.anatomy.region == REGIONS.index("CX"))
    points = (cortex[:, ::-1] + 0.5) * 8.0
    assert (section.packing.clearance(points) < 0).mean() > 0.7


def test_factors_are_silent_where_they_are_not_drawn(section):
    points = np.random.default_rng(0).uniform((0, 0), section.anatomy.size_um, (2000, 2))
    region = section.anatomy.at(section.anatomy.region, points)
    values = drawn_factors(section.anatomy, points, region)
    for index, (regions, _, _) in enumerate(FACTORS.values()):
        drawn = np.isin(region, [REGIONS.index(name) for name in regions])
        assert (values[~drawn, index] == 0).all()
        assert (values[drawn, index] != 0).all()


def test_nearest_agrees_with_all_distances():
    rng = np.random.default_rng(0)
    places, points = rng.random((40, 2)), rng.random((7, 2))
    distance, index = nearest(places, points, 3)
    every = np.linalg.norm(points[:, None] - places[None], axis=-1)
    np.testing.assert_array_equal(index, np.argsort(every, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(every, axis=1)[:, :3])
