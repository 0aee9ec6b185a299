import cv2
import numpy as np
import pytest
import tifffile

from g2m_data.doctor.examine import examine


@pytest.mark.parametrize("factor", [0.8, 1.1])
def test_a_resized_slide_is_found_out_by_the_lattice(admit, factor):
    patient = admit()
    image = tifffile.imread(patient.slide)
    patient.repaint(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    patient.move(lambda xy: (xy + 0.5) * factor - 0.5)  # the JSON still has the old scale
    check = patient.examine().report.check("scale")
    assert check.numbers["mpp"]["lattice"] == pytest.approx(patient.mpp / factor, rel=0.01)
    assert check.numbers["difference_percent"]["lattice"] == pytest.approx(100 * (1 / factor - 1), abs=1)
    assert check.verdict == "warning"
    assert "lattice gives" in check.message


def test_all_sources_of_the_phantom_agree(healthy):
    for sample in ("hd1", "visium1"):
        check = healthy[sample].report.check("scale")
        assert check.verdict == "ok"
        assert {"lattice", "spot_diameter_fullres", "TIFF XResolution"} <= check.numbers["mpp"].keys()
        assert max(map(abs, check.numbers["difference_percent"].values())) < 0.5
    assert healthy["hd1"].report.check("scale").numbers["used"] == "scalefactors_json.json"
    assert healthy["visium1"].report.check("scale").numbers["used"] == "lattice"


def test_a_manifest_that_contradicts_the_array_is_used_and_warned_about(admit):
    check = admit("visium1", "mpp = 0.55").examine().report.check("scale")
    assert check.numbers["used"] == "manifest mpp"
    assert check.verdict == "warning"


def test_a_diameter_that_is_no_ruler_and_a_printers_resolution_are_listed_only(maker, make_spots):
    section = make_spots()
    section.scalefactors["spot_diameter_fullres"] = 70 / 0.9
    maker.add(section, platform="visium", image="slide.tif")
    tifffile.imwrite(
        maker.folder / "one" / "slide.tif", section.slide, photometric="rgb", resolution=(72, 72), resolutionunit="INCH"
    )
    check = next(iter(examine(maker.manifest()))).report.check("scale")
    assert check.verdict == "ok"
    assert check.numbers["mpp"]["TIFF XResolution"] == pytest.approx(25400 / 72)
    assert set(check.numbers["no_rulers"]) == {"TIFF XResolution", "spot_diameter_fullres"}


def test_a_lattice_of_unknown_scale_is_an_error_that_says_what_to_state(maker, make_spots):
    maker.add(make_spots(platform="st"), platform="visium")
    examination = next(iter(examine(maker.manifest())))
    check = examination.report.check("scale")
    assert check.verdict == "error"
    assert "pitch_um" in check.message
    assert examination.report.check("lattice").numbers["pitch_px"] == pytest.approx(200 / 0.9, rel=1e-6)
    assert np.isfinite(examination.specimen.library).all()
