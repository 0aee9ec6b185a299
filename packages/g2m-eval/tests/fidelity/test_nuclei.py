import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.fidelity.nuclei import measure_nuclei, segment_nuclei

SCATTERED = [(8, 8), (25, 9), (44, 10), (12, 30), (33, 28), (45, 42), (20, 46)]


@pytest.mark.parametrize("size", [64, 128])
def test_drawn_nuclei_are_counted_and_measured(draw_patch, size):
    found = measure_nuclei(np.stack([draw_patch(SCATTERED, size=size), draw_patch(size=size)]), 55 / size)
    assert found["count"].tolist() == [7, 0]
    assert found["size_um2"][0] == pytest.approx(np.pi * 2.8**2, rel=0.15)
    assert np.isnan(found["size_um2"][1])


def test_size_follows_the_radius_drawn(draw_patch):
    radii = np.array([2.2, 3.0, 3.8])
    found = measure_nuclei(np.stack([draw_patch(SCATTERED, nucleus_um=r, size=64) for r in radii]), 55 / 64)
    np.testing.assert_allclose(found["size_um2"], np.pi * radii**2, rtol=0.15)


def test_touching_nuclei_are_parted(draw_patch):
    pairs = [(x + dx, y) for x in (10, 27, 44) for y in (12, 40) for dx in (-2.4, 2.4)]
    found = measure_nuclei(draw_patch(pairs, size=128)[None], 55 / 128)
    assert found["count"][0] == 12


def test_nuclei_at_the_edge_count_but_are_not_measured(draw_patch):
    found = measure_nuclei(draw_patch([(0, 20), (30, 55)], size=64)[None], 55 / 64)
    assert found["count"][0] == 2
    assert np.isnan(found["size_um2"][0])


def test_patches_do_not_see_each_other(draw_patch):
    patches = np.stack([draw_patch([(20 + i, 30)], size=64) for i in range(5)])
    together = segment_nuclei(patches, 55 / 64)
    for row, patch in enumerate(patches):
        np.testing.assert_array_equal(together[row] > 0, segment_nuclei(patch[None], 55 / 64)[0] > 0)
        assert len(np.unique(together[row])) == 2


def test_holes_and_glass_are_no_nuclei(draw_patch):
    assert measure_nuclei(draw_patch(holes=[(20, 20, 9)], size=64)[None], 55 / 64)["count"][0] == 0
    assert measure_nuclei(np.full((1, 64, 64, 3), 255, np.uint8), 55 / 64)["count"][0] == 0
    assert measure_nuclei(np.full((1, 64, 64, 3), [30, 15, 60], np.uint8), 55 / 64)["count"][0] == 1  # all dark
    assert len(measure_nuclei(np.zeros((0, 64, 64, 3), np.uint8), 55 / 64)) == 0


def test_another_segmentation_can_be_given():
    def one_square(images):
        labels = np.zeros(images.shape[:3], dtype=int)
        labels[:, 4:8, 4:9] = 1
        return labels

    found = measure_nuclei(np.zeros((3, 16, 16, 3), np.uint8), 0.5, segment=one_square)
    assert found["count"].tolist() == [1, 1, 1]
    assert found["size_um2"].tolist() == [5.0] * 3
    with pytest.raises(InputError, match="labels of shape"):
        measure_nuclei(np.zeros((3, 16, 16, 3), np.uint8), 0.5, segment=lambda images: np.zeros((3, 4, 4)))
    with pytest.raises(InputError, match="microns per pixel"):
        measure_nuclei(np.zeros((3, 16, 16, 3), np.uint8), 0.0)
