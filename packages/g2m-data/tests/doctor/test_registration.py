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


@pytest.mark.parametrize(("rows", "columns"), [(12, 0), (-6, 9)])
def test_displaced_molecules_are_found_under_an_unmoved_tissue_where_a_raw_matrix_is(admit, healthy, rows, columns):
    lattice, patient = healthy["hd1"].specimen.lattice, admit()
    moved_um = (rows * np.array(lattice.per_row) + columns * np.array(lattice.per_col)) * patient.mpp
    patient.displace_molecules(rows, columns, raw=True)
    numbers = patient.examine().report.check("registration").numbers
    assert numbers["counts_off_tissue"]
    assert [numbers["shift_x_um"], numbers["shift_y_um"]] == pytest.approx(-moved_um, abs=2)
    assert patient.examine().report.check("registration").verdict == "warning"


def test_without_a_raw_matrix_the_outline_of_the_tissue_holds_the_shift_back(admit):
    patient = admit()
    patient.displace_molecules(12, 0, raw=False)
    numbers = patient.examine().report.check("registration").numbers
    assert not numbers["counts_off_tissue"]
    assert numbers["distance_um"] < 20  # of 24


def test_a_raw_matrix_in_place_changes_nothing(admit):
    patient = admit()
    patient.displace_molecules(0, 0, raw=True)
    check = patient.examine().report.check("registration")
    assert check.verdict == "ok"
    assert check.numbers["distance_um"] < 2


def test_a_damaged_raw_matrix_is_told_and_done_without(admit):
    patient = admit()
    (next(patient.folder.rglob("filtered_feature_bc_matrix.h5")).with_name("raw_feature_bc_matrix.h5")).write_text("x")
    report = patient.examine().report
    assert "only the registration check uses it" in report.check("notes").message
    assert report.check("registration").verdict == "ok"


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


def test_spots_that_are_nowhere_on_the_slide_tell_nothing(admit):
    patient = admit()
    patient.move(lambda xy: xy + 1e5)
    assert "cannot be told" in patient.examine().report.check("registration").message


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
