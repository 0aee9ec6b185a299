import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_data.lattice import fit_lattice


def lay_out(array, pitch, rotation, flip_rows, flip_cols, origin, hexagonal):
    row_step, col_step = (pitch * math.sqrt(3) / 2, pitch / 2) if hexagonal else (pitch, pitch)
    angle = math.radians(rotation)
    x = array[:, 1] * col_step * (-1 if flip_cols else 1)
    y = array[:, 0] * row_step * (-1 if flip_rows else 1)
    return (
        np.column_stack([x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)]) + origin
    )


def full_array(hexagonal, rows=14, cols=17, first=(31, 8)):
    array = np.argwhere(np.ones((rows, cols), dtype=bool)) + first
    return array[array.sum(axis=1) % 2 == 0] if hexagonal else array


@settings(max_examples=80, deadline=None)
@given(
    pitch=st.floats(3, 400),
    rotation=st.floats(-44, 44),
    flip_rows=st.booleans(),
    flip_cols=st.booleans(),
    x=st.floats(-1e4, 1e4),
    hexagonal=st.booleans(),
)
def test_lattice_recovers_pitch_rotation_and_flips(pitch, rotation, flip_rows, flip_cols, x, hexagonal):
    array = full_array(hexagonal)
    xy = lay_out(array, pitch, rotation, flip_rows, flip_cols, (x, 700.0), hexagonal)
    lattice = fit_lattice(array, xy)
    assert lattice.is_visium == hexagonal
    assert lattice.pitch_px == pytest.approx(pitch, rel=1e-6)
    assert lattice.rotation_deg == pytest.approx(rotation, abs=1e-4)
    assert (lattice.flip_rows, lattice.flip_cols) == (flip_rows, flip_cols)
    assert lattice.origin == pytest.approx((x, 700.0), abs=1e-2)
    assert lattice.residual_px < 1e-3
    assert lattice.outliers == 0


def test_a_few_misplaced_spots_do_not_tilt_the_scale():
    array = full_array(hexagonal=True)
    rng = np.random.default_rng(1)
    xy = lay_out(array, 200, 3, False, True, (500, 500), True) + rng.normal(0, 3, (len(array), 2))
    xy[rng.choice(len(array), 8, replace=False)] += (900, -700)
    lattice = fit_lattice(array, xy)
    assert lattice.pitch_px == pytest.approx(200, rel=3e-3)
    assert lattice.outliers == 8
    assert 2 < lattice.residual_px < 6


def test_jitter_does_not_bias_the_pitch_as_it_does_nearest_neighbours():
    array = full_array(hexagonal=False)
    xy = lay_out(array, 100, 0, False, False, (0, 0), False) + np.random.default_rng(2).normal(0, 8, (len(array), 2))
    distances = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(len(xy)) * 1e9
    assert np.median(distances.min(axis=1)) < 95
    assert fit_lattice(array, xy).pitch_px == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("array", [[[0, 0], [0, 1], [1, 0]], [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]])
def test_too_few_spots_or_spots_on_a_line_give_no_lattice(array):
    array = np.array(array)
    assert fit_lattice(array, array * 10.0) is None


def test_square_lattice_of_even_places_only_is_not_visium():
    array = full_array(hexagonal=True)
    xy = lay_out(array, 50, 0, False, False, (0, 0), hexagonal=False)
    assert not fit_lattice(array, xy).is_visium
