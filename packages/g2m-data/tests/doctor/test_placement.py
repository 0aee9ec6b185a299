import math

import numpy as np
import pytest

from g2m_data.doctor.examine import examine
from g2m_data.doctor.placement import measure_cover
from g2m_data.doctor.specimen import SlideView


def _turn(xy, degrees):
    angle, middle = math.radians(degrees), xy.mean(axis=0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (xy - middle) @ turn + middle


@pytest.mark.parametrize("degrees", [-3.0, 4.0])
def test_rotation_is_found_to_a_tenth_of_a_degree(admit, degrees):
    patient = admit()
    patient.move(lambda xy: _turn(xy, degrees))
    numbers = patient.examine().report.check("lattice").numbers
    assert numbers["rotation_deg"] == pytest.approx(1.3 + degrees, abs=0.1)  # the phantom's own is 1.3
    assert abs(numbers["shear_deg"]) < 0.01


def test_flips_are_named(admit, healthy):
    assert "rows flipped" in healthy["hd1"].report.check("lattice").message
    assert "columns flipped" in healthy["visium2"].report.check("lattice").message
    assert "not flipped" in healthy["visium1"].report.check("lattice").message
    patient = admit()
    patient.move(lambda xy: np.column_stack([xy[:, 0].min() + xy[:, 0].max() - xy[:, 0], xy[:, 1]]))
    assert "rows and columns flipped" in patient.examine().report.check("lattice").message


def test_shear_and_stretch_are_complained_of(admit):
    patient = admit("visium1")
    patient.move(lambda xy: xy @ np.array([[1.0, 0.0], [math.tan(math.radians(2.0)), 1.03]]))
    check = patient.examine().report.check("lattice")
    assert check.verdict == "warning"
    assert abs(check.numbers["shear_deg"]) == pytest.approx(2.0, abs=0.2)
    assert check.numbers["stretch"] == pytest.approx(0.03, abs=0.005)


def test_a_misplaced_spot_is_named(maker, make_spots):
    section = make_spots()
    section.in_tissue[:] = True
    section.xy[40] += 37 / 0.9
    maker.add(section, platform="visium")
    check = next(iter(examine(maker.manifest()))).report.check("lattice")
    assert check.verdict == "warning"
    assert check.numbers["misplaced"] == 1
    assert section.barcodes[40] in check.message
    assert check.numbers["residual_max_um"] == pytest.approx(37 * math.sqrt(2), rel=0.02)


def test_spots_outside_the_slide_are_counted_and_refused(admit, healthy):
    specimen = healthy["hd1"].specimen
    patient = admit()
    off = specimen.xy[:, 0].min() + 30
    patient.move(lambda xy: xy - [off, 0])
    check = patient.examine().report.check("extent")
    assert check.verdict == "error"
    assert check.numbers["spots_outside"] == (specimen.xy[:, 0] - off < -0.5).sum() > 0


def test_cut_off_patches_are_counted(maker, make_spots):
    section = make_spots(margin_px=20.0)  # 18 µm of glass where a patch needs 27.5
    section.in_tissue[:] = True
    section.slide = section.slide[: int(section.xy[:, 1].max()) + 20, : int(section.xy[:, 0].max()) + 20]
    maker.add(section, platform="visium")
    check = next(iter(examine(maker.manifest()))).report.check("extent")
    row, col = section.array.T
    rim = (row == row.min()) | (row == row.max()) | (col <= col.min()) | (col >= col.max())
    assert check.numbers["patches_cut_off"] == rim.sum()
    assert check.verdict == "warning"


def test_cover_is_the_share_of_stained_pixels_in_the_square():
    rng = np.random.default_rng(1)
    image = np.where(rng.random((50, 60, 1)) < 0.4, 90, 245).astype(np.uint8).repeat(3, axis=2)
    view = SlideView(
        height=100,
        width=120,
        overview=image,
        overview_scale=0.5,
        read=lambda *_: image,
        scale=0.5,
        is_normalised=False,
    )
    cover = measure_cover(view, np.array([[39.5, 29.5], [119.5, 99.5]]), width_px=16.0)
    assert cover[0] == (image[11:19, 16:24, 0] == 90).mean()
    assert cover[1] == (image[46:50, 56:60, 0] == 90).mean()
