from dataclasses import replace

import cv2
import numpy as np
import pytest

from g2m_data.simulate.anatomy import FACTORS, REGIONS
from g2m_data.simulate.drawing import draw_scene, ellipse
from g2m_data.simulate.packing import pack_tissue
from g2m_data.simulate.staining import Painter, make_grain

GRAIN = make_grain(0.8, 0)


def measure(section, factor: str, value: float, statistic) -> float:
    """A statistic over the regions that draw the factor, everything else at its mean."""
    factors = np.zeros_like(section.anatomy.factors)
    factors[list(FACTORS).index(factor)] = value
    flat = np.zeros_like(section.anatomy.thickness)
    anatomy = replace(section.anatomy, factors=factors, thickness=flat, balance=flat)
    packing = pack_tissue(anatomy, np.random.default_rng(1))
    scene = draw_scene(anatomy, packing, np.random.default_rng(2))
    width, height = (int(side / 0.8) for side in anatomy.size_um)
    layers = Painter(scene, anatomy, 0.8, GRAIN).concentrations(0, 0, min(width, 1024), min(height, 1024))
    yy, xx = (np.indices(layers.shape[:2]) + 0.5) * 0.8
    region = anatomy.at(anatomy.region, np.stack([xx, yy], axis=-1))
    drawn = np.isin(region, [REGIONS.index(name) for name in FACTORS[factor][0]])
    return statistic(layers, drawn)


def white_share(layers, drawn):
    return (layers.sum(axis=-1) < 0.2)[drawn].mean()


def nuclear_share(layers, drawn):
    return (layers[..., 0] > 0.8)[drawn].mean()


def mean_eosin(layers, drawn):
    return layers[..., 1][drawn].mean()


def fibre_share(layers, drawn):
    return ((layers[..., 1] > 0.6) & (layers[..., 0] < 0.16))[drawn].mean()


def boundaries(layers, drawn):
    """Number of lumina per area: wider tubules mean fewer of them."""
    white = ((layers.sum(axis=-1) < 0.2) & drawn).astype(np.uint8)
    return -cv2.connectedComponents(white)[0] / drawn.sum()


@pytest.mark.parametrize(
    ("factor", "statistic", "least"),
    [
        ("nuclear_density", nuclear_share, 1.5),
        ("lumen", white_share, 1.5),
        ("droplet_size", white_share, 1.5),
        ("eosin", mean_eosin, 1.3),
        ("collagen", fibre_share, 1.15),
    ],
)
def test_a_factor_moves_its_image_statistic(section, factor, statistic, least):
    low, high = (measure(section, factor, value, statistic) for value in (-1.5, 1.5))
    assert high > least * low


def test_wider_tubules_are_fewer(section):
    low, high = (measure(section, "tubule_calibre", value, boundaries) for value in (-1.5, 1.5))
    assert -high < 0.75 * -low


def test_ellipse_has_its_axes_and_turn():
    points = ellipse(np.array([[5.0, 7.0]]), np.array([3.0]), np.array([1.0]), np.array([np.pi / 2]), 8)[0]
    np.testing.assert_allclose(points[0], (5, 10), atol=1e-9)
    np.testing.assert_allclose(points[2], (4, 7), atol=1e-9)


def test_scene_depends_on_its_generator_alone(section):
    again = draw_scene(section.anatomy, section.packing, np.random.default_rng(2))
    for (polygons, paint), (same, same_paint) in zip(section.scene.layers, again.layers, strict=True):
        np.testing.assert_array_equal(polygons, same)
        np.testing.assert_array_equal(paint, same_paint)
