import numpy as np
import pytest

from g2m_data.doctor.registration import _agreement, _correlate_blocks


@pytest.mark.parametrize("sample", ["hd1", "visium1", "visium2", "visium3"])
def test_nothing_is_said_against_a_section_that_lies_where_it_should(healthy, sample):
    check = healthy[sample].report.check("registration")
    assert check.verdict == "ok"
    assert check.numbers["distance_um"] < (2 if sample == "hd1" else 12)


@pytest.mark.parametrize("shift_um", [(20.0, 0.0), (-12.0, 16.0)])
def test_a_displaced_hd_section_is_found_out_to_within_a_bin(admit, shift_um):
    patient = admit()
    patient.move(lambda xy: xy + np.array(shift_um) / patient.mpp)
    check = patient.examine().report.check("registration")
    assert check.verdict == "warning"
    assert [check.numbers["shift_x_um"], check.numbers["shift_y_um"]] == pytest.approx(
        [-shift_um[0], -shift_um[1]], abs=2
    )
    assert check.numbers["uncertainty_um"] < 4


def test_displaced_spots_are_found_out_as_far_as_55_um_spots_can_tell(admit):
    patient = admit("visium1")
    patient.move(lambda xy: xy + np.array([60.0, -20.0]) / patient.mpp)
    check = patient.examine().report.check("registration")
    assert check.verdict == "warning"
    found = check.numbers["shift_x_um"], check.numbers["shift_y_um"]
    assert np.hypot(found[0] + 60, found[1] - 20) < 15


def test_a_shift_beyond_what_is_tried_is_said_to_be_at_least_that(admit):
    patient = admit()
    patient.move(lambda xy: xy + np.array([95.0, 0.0]) / patient.mpp)
    check = patient.examine().report.check("registration")
    assert check.verdict == "warning"
    assert "at least" in check.message


def test_an_empty_slide_tells_nothing(admit):
    patient = admit(stain="none")
    patient.repaint(np.full((1459, 1680, 3), 240, np.uint8))
    report = patient.examine().report
    assert report.check("registration").verdict == "ok"
    assert "cannot be told" in report.check("registration").message
    assert report.check("tissue").numbers["pairs_on_glass"] == 1
    assert report.check("tissue").verdict == "warning"


def test_agreement_by_fourier_transform_is_the_correlation_of_what_lies_on_what():
    rng = np.random.default_rng(0)
    darkness = rng.random((60, 70)).astype(np.float32)
    known = np.zeros((60, 70), dtype=bool)
    known[12:48, 10:55] = rng.random((36, 45)) < 0.8
    value = np.where(known, rng.random((60, 70)), 0)
    reach = 5
    agreement = _agreement(_correlate_blocks(value, known, darkness, reach).sum(axis=0))
    row, col = np.nonzero(known)
    for dy, dx in ((0, 0), (-5, 3), (4, -2)):
        expected = np.corrcoef(value[row, col], darkness[row + dy, col + dx])[0, 1]
        assert agreement[dy + reach, dx + reach] == pytest.approx(expected, abs=1e-9)
