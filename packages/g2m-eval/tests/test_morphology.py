import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.morphology import STATISTICS, image_statistics, stain_densities
from g2m_eval.resize import resize_patches

MPP = 55 / 128


def scattered(n, seed, apart=8.0, low=4.0, high=51.0):
    """Points at least ``apart`` um from each other."""
    random = np.random.default_rng(seed)
    points = []
    while len(points) < n:
        candidate = random.uniform(low, high, 2)
        if all(np.hypot(*(candidate - p)) > apart for p in points):
            points.append(candidate)
    return [tuple(p) for p in points]


def test_separate_nuclei_are_counted_exactly(draw_patch):
    counts = [0, 1, 5, 12]
    patches = np.stack([draw_patch(scattered(n, seed=n)) for n in counts])
    density = image_statistics(patches, MPP)["nuclei_per_mm2"]
    assert (density * 55 * 55 * 1e-6).round().tolist() == counts


def test_two_touching_nuclei_count_as_two(draw_patch):
    patch = draw_patch([(25, 25), (30.5, 25)], nucleus_um=2.8)
    assert round(image_statistics(patch[None], MPP)["nuclei_per_mm2"][0] * 55 * 55 * 1e-6) == 2


def test_nuclear_share_is_the_area_of_the_drawn_nuclei(draw_patch):
    share = image_statistics(draw_patch(scattered(10, 0))[None], MPP)["nuclear_share"][0]
    assert share == pytest.approx(10 * np.pi * 2.8**2 / 55**2, rel=0.15)


def test_white_share_is_the_area_of_the_holes_and_only_narrow_ones_are_lipid(draw_patch):
    lumen = draw_patch(holes=[(27, 27, 14)])
    droplets = draw_patch(holes=[(*p, 2.5) for p in scattered(20, 1, apart=6.0)])
    touching = draw_patch(holes=[(10 + 4 * i, 10 + 4 * j, 2.5) for i in range(4) for j in range(3)])
    cut = draw_patch(holes=[(0, 27, 14)])
    measured = image_statistics(np.stack([lumen, droplets, touching, cut]), MPP)
    assert measured["lumen_share"][0] == pytest.approx(np.pi * 14**2 / 55**2, rel=0.06)
    assert measured["lipid_share"][0] < 0.1 * measured["lumen_share"][0]
    assert measured["lipid_share"][1] == pytest.approx(measured["lumen_share"][1])
    assert measured["lumen_share"][1] == pytest.approx(20 * np.pi * 2.5**2 / 55**2, rel=0.15)
    assert measured["lipid_share"][3] < 0.1 * measured["lumen_share"][3]
    assert measured["lumen_share"][2] > 0.05


def test_eosin_density_is_what_was_painted_whatever_the_nuclei(draw_patch):
    pale, dark = draw_patch(scattered(3, 0), eosin=0.3), draw_patch(scattered(12, 1), eosin=0.6)
    measured = image_statistics(np.stack([pale, dark]), MPP)["eosin_density"]
    assert measured.tolist() == pytest.approx([0.3, 0.6], abs=0.06)


def test_larger_tubules_have_a_larger_diameter(draw_patch):
    def packed(radius, seed):
        step = 2.1 * radius
        shift = np.random.default_rng(seed).uniform(0, step, 2)
        centres = [
            (x + shift[0] - step, y + shift[1] - step) for x in np.arange(0, 75, step) for y in np.arange(0, 75, step)
        ]
        ring = [
            (x + 0.7 * radius * np.cos(a), y + 0.7 * radius * np.sin(a))
            for x, y in centres
            for a in np.linspace(0, 2 * np.pi, max(4, round(0.6 * radius)), endpoint=False)
        ]
        return draw_patch(ring, [(x, y, 0.4 * radius) for x, y in centres], nucleus_um=2.2)

    sizes = [7.0, 11.0, 16.0]
    means = [
        image_statistics(np.stack([packed(r, s) for s in range(8)]), MPP)["tubule_diameter_um"].mean() for r in sizes
    ]
    assert means[0] < means[1] < means[2]


def test_collagen_is_pink_without_purple(draw_patch):
    cells, fibres = draw_patch(scattered(14, 0), eosin=0.2), draw_patch(eosin=0.9)
    measured = image_statistics(np.stack([cells, fibres]), MPP)["collagen_share"]
    assert measured[0] < 0.1
    assert measured[1] > 0.9


def test_a_patch_and_the_same_at_half_the_pixels_measure_the_same(draw_patch):
    patches = np.stack([draw_patch(scattered(n, n), [(27, 27, 2 + n)], seed=n) for n in range(1, 9)])
    fine = image_statistics(patches, MPP)
    coarse = image_statistics(resize_patches(patches, 64), 2 * MPP)
    for name in STATISTICS:
        np.testing.assert_allclose(coarse[name], fine[name], rtol=1e-6, err_msg=name)


def test_blank_glass_and_solid_black_are_measured_without_warnings():
    patches = np.stack([np.full((64, 64, 3), 240, np.uint8), np.zeros((64, 64, 3), np.uint8)])
    measured = image_statistics(patches, 0.86)
    assert measured["lumen_share"].tolist() == [1.0, 0.0]
    assert measured["lipid_share"].tolist() == [0.0, 0.0]
    assert measured["nuclei_per_mm2"].tolist() == [0.0, 0.0]
    assert np.isnan(measured["eosin_density"][0])
    assert image_statistics(patches[:1], 0.86)["lipid_share"].tolist() == [0.0]


def test_patches_do_not_see_one_another(draw_patch):
    patches = np.stack([draw_patch(scattered(n, n), [(20, 30, n)], seed=n) for n in range(2, 8)])
    together = image_statistics(patches, MPP)
    alone = [image_statistics(p[None], MPP).iloc[0] for p in patches]
    for i, row in enumerate(alone):
        np.testing.assert_allclose(together.iloc[i], row, rtol=1e-6)


def test_densities_return_what_was_developed(draw_patch):
    patch = draw_patch(eosin=0.5)
    haematoxylin, eosin = stain_densities(patch[None])
    assert haematoxylin.mean() == pytest.approx(0.15, abs=0.02)
    assert eosin.mean() == pytest.approx(0.5, abs=0.02)


def test_a_scale_that_is_not_positive_is_refused_and_no_patches_are_no_rows():
    with pytest.raises(InputError, match="microns per pixel"):
        image_statistics(np.zeros((1, 8, 8, 3), np.uint8), 0.0)
    assert list(image_statistics(np.zeros((0, 8, 8, 3), np.uint8), 0.5).columns) == list(STATISTICS)
