import pytest

from g2m_data.build import build_dataset
from g2m_data.doctor.examine import examine
from g2m_data.errors import InputError


def test_a_damaged_section_is_an_error_of_its_own_and_the_next_is_examined(maker, make_spots):
    for sample in ("one", "two"):
        maker.add(make_spots(), sample, platform="visium")
    matrix = maker.folder / "one" / "filtered_feature_bc_matrix.h5"
    matrix.write_bytes(matrix.read_bytes()[:3000])
    reports = [examination.report for examination in examine(maker.manifest())]
    assert [report.id for report in reports] == ["one", "two"]
    assert reports[0].verdict == "error"
    assert str(matrix) in reports[0].check("files").message
    assert reports[1].check("genes").verdict == "ok"


def test_a_damaged_slide_leaves_the_other_checks(maker, make_spots):
    folder = maker.add(make_spots(), platform="visium")
    (folder / "slide.tif").write_bytes(b"II*\0" + bytes(100))
    examination = next(iter(examine(maker.manifest())))
    assert examination.report.check("slide").verdict == "error"
    assert examination.report.check("scale").verdict == "ok"


def test_a_slide_without_tissue_cannot_be_normalised(maker, make_spots):
    maker.add(make_spots(), platform="visium")
    assert next(iter(examine(maker.manifest(patch='stain = "macenko"')))).report.check("stain").verdict == "error"
    assert next(iter(examine(maker.manifest(patch='stain = "none"')))).report.check("stain").verdict == "warning"


def test_a_barcode_that_occurs_twice_is_an_error(maker, make_spots):
    folder = maker.add(make_spots(), platform="visium")
    positions = folder / "spatial" / "tissue_positions.csv"
    lines = positions.read_text().splitlines()
    positions.write_text("\n".join([*lines, lines[1]]))
    check = next(iter(examine(maker.manifest()))).report.check("files")
    assert check.verdict == "error"
    assert "twice" in check.message


def test_coarser_bins_are_examined_in_their_own_windows(maker, make_hd):
    section = make_hd(rows=30, cols=30, holes=0)
    section.in_tissue[:] = True
    folder = maker.add(section, platform="visium-hd")
    (folder / "binned_outputs" / "square_002um").rename(folder / "binned_outputs" / "square_008um")
    for path in folder.rglob("scalefactors_json.json"):
        path.write_text('{"bin_size_um": 8.0, "microns_per_pixel": 1.24}')
    examination = next(iter(examine(maker.manifest())))
    assert "56 µm wide" in examination.report.check("notes").message
    assert examination.specimen.view.window_bins == 7
    assert examination.report.check("scale").numbers["difference_percent"]["lattice"] == pytest.approx(0, abs=0.01)


def test_what_is_neither_manifest_nor_dataset_is_one_line(tmp_path):
    with pytest.raises(InputError, match="not a dataset"):
        list(examine(tmp_path))
    with pytest.raises(InputError, match="no such study"):
        list(examine(tmp_path / "study.toml"))


@pytest.fixture(scope="module")
def built(phantom, tmp_path_factory):
    text = (phantom / "study.toml").read_text()
    head, *samples = text.split("[[sample]]")
    two = [sample for sample in samples if '"hd1"' in sample or '"visium2"' in sample]
    manifest, out = phantom / "two.toml", tmp_path_factory.mktemp("built") / "dataset"
    manifest.write_text("[[sample]]".join([head, *two]))
    build_dataset(manifest, out)
    return {examination.report.id: examination.report for examination in examine(out)}


def test_a_dataset_shows_the_same_scales_side_by_side(built, healthy):
    for sample in ("hd1", "visium2"):
        raw, stored = healthy[sample].report.check("scale").numbers, built[sample].check("scale").numbers
        assert {"lattice", "spot_diameter_fullres", "TIFF XResolution"} <= stored["mpp"].keys()
        assert stored["mpp"] == pytest.approx(raw["mpp"])
        assert stored["no_rulers"] == raw["no_rulers"]
        slide = built[sample].check("slide")
        assert slide.numbers["format"] == healthy[sample].report.check("slide").numbers["format"]
        assert "of its resolution" in slide.message


@pytest.mark.parametrize("sample", ["hd1", "visium2"])
def test_a_dataset_tells_the_same_as_its_raw_files(built, healthy, sample):
    raw, stored = healthy[sample].report, built[sample]
    assert stored.verdict == "ok"
    for name in ("pitch_px", "rotation_deg", "flip_rows", "flip_cols", "residual_max_um"):
        assert stored.check("lattice").numbers[name] == pytest.approx(raw.check("lattice").numbers[name])
    assert stored.check("scale").numbers["used"] == raw.check("scale").numbers["used"]
    assert stored.check("library size").numbers == raw.check("library size").numbers
    assert stored.check("extent").numbers == raw.check("extent").numbers
    assert stored.check("registration").numbers["distance_um"] < (2 if sample == "hd1" else 15)
