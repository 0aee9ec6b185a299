import pytest

from g2m_data.errors import InputError
from g2m_data.manifest import View, read_manifest
from g2m_data.provenance import resolve_settings


@pytest.fixture
def write(tmp_path):
    (tmp_path / "outs").mkdir()
    (tmp_path / "slide.tif").touch()

    def write(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return path

    return write


SAMPLE = '[[sample]]\nid = "a"\nspaceranger = "outs"\nimage = "slide.tif"\nsplit = "train"\n'
STUDY = '[study]\nname = "s"\n'


def test_every_key_is_read_and_paths_are_relative_to_the_manifest(write, tmp_path):
    (tmp_path / "genes.txt").write_text("A\n")
    (tmp_path / "truth").mkdir()
    (tmp_path / "sets.gmt").write_text("SET\t\tA\n")
    path = write(
        STUDY
        + 'genes = "genes.txt"\ntruth = "truth"\ngene_sets = "sets.gmt"\n[view]\nwindow_bins = 9\nstride_bins = 3\n'
        "min_coverage = 0.8\n"
        "all_bins = false\n"
        '[patch]\npixels = 64\nstain = "none"\n'
        + SAMPLE
        + 'platform = "st"\nmpp = 1\npitch_um = 200.0\nspot_um = 90.5\n'
    )
    manifest = read_manifest(path)
    sample = manifest.samples[0]
    assert (manifest.gene_file, manifest.truth_folder) == (tmp_path / "genes.txt", tmp_path / "truth")
    assert manifest.gene_sets_file == tmp_path / "sets.gmt"
    assert manifest.view == View(window_bins=9, stride_bins=3, min_coverage=0.8, all_bins=False)
    assert (manifest.patch.pixels, manifest.patch.stain) == (64, "none")
    assert (sample.spaceranger, sample.image) == (tmp_path / "outs", tmp_path / "slide.tif")
    assert (sample.platform, sample.mpp, sample.pitch_um, sample.spot_um) == ("st", 1.0, 200.0, 90.5)


def test_defaults_are_the_papers(write):
    manifest = read_manifest(write(STUDY + SAMPLE))
    assert (manifest.view.window_bins, manifest.view.stride_bins) == (27, 5)
    assert (manifest.patch.pixels, manifest.patch.stain, manifest.study.genes) == (128, "macenko", "common")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[study\n", "not valid TOML"),
        (STUDY, "lists no samples"),
        (SAMPLE, "'name' is missing"),
        (STUDY + SAMPLE + "pich_um = 2\n", "unknown setting 'pich_um'; did you mean 'pitch_um'"),
        (STUDY + "[veiw]\n" + SAMPLE, "unknown setting 'veiw'; did you mean 'view'"),
        (STUDY + SAMPLE + SAMPLE, "'a': two samples have this id"),
        (
            STUDY + SAMPLE.replace("train", "training"),
            "split: expected one of train, validation, test; found 'training'",
        ),
        (STUDY + SAMPLE.replace('"a"', '"../a"'), "names a folder"),
        (STUDY + SAMPLE.replace('"a"', "3"), "id: expected text, found 3"),
        (STUDY + SAMPLE + 'platform = "xenium"\n', "platform: expected one of visium-hd, visium, st"),
        (STUDY + SAMPLE + "mpp = -1\n", "mpp must be positive"),
        (STUDY + SAMPLE + "mpp = true\n", "mpp: expected a number, found True"),
        (STUDY + SAMPLE.replace("outs", "nowhere"), "nowhere: no such Space Ranger folder"),
        (STUDY + SAMPLE.replace("slide.tif", "no.tif"), r"no.tif: no such slide image"),
        (STUDY + SAMPLE.replace("slide.tif", "detected_tissue_image.jpg"), "a grey overlay"),
        (STUDY + 'genes = "g.txt"\n' + SAMPLE, "g.txt: no such gene list"),
        (STUDY + 'truth = "t"\n' + SAMPLE, "t: no such folder"),
        (STUDY + 'gene_sets = "s.gmt"\n' + SAMPLE, "s.gmt: no such file of gene sets"),
        (STUDY + "[view]\nwindow_bins = 4\n" + SAMPLE, "must be odd"),
        (STUDY + "[view]\nstride_bins = 0\n" + SAMPLE, "at least 1"),
        (STUDY + "[view]\nmin_coverage = 1.1\n" + SAMPLE, r"\[view\]: min_coverage must lie between 0 and 1"),
        (STUDY + "[view]\nmin_coverage = nan\n" + SAMPLE, "min_coverage must lie between 0 and 1"),
        (STUDY + "[view]\nmin_coverage = true\n" + SAMPLE, "min_coverage: expected a number, found True"),
        (STUDY + "[view]\nall_bins = 1\n" + SAMPLE, "all_bins: expected true or false, found 1"),
        (STUDY + "[patch]\npixels = 2\n" + SAMPLE, "between 8 and 4096"),
        (STUDY + '[patch]\nstain = "reinhard"\n' + SAMPLE, "expected one of macenko, none"),
        ("study = 3\n" + SAMPLE, "expected a table"),
    ],
)
def test_each_mistake_is_one_clear_line(write, text, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        read_manifest(write(text))
    assert "\n" not in str(caught.value)


def test_later_settings_leave_the_files_and_ids_of_the_papers_view(write):
    assert View().settings == {"window_bins": 27, "stride_bins": 5}
    assert resolve_settings(read_manifest(write(STUDY + SAMPLE)))["view"] == View().settings
    other = View(window_bins=9, min_coverage=0.5, all_bins=False)
    assert View(**other.settings) == other
    assert other.rescale(8) == View(window_bins=3, stride_bins=1, min_coverage=0.5, all_bins=False)


def test_missing_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match="no such study manifest"):
        read_manifest(tmp_path / "none.toml")


@pytest.mark.parametrize(("bin_um", "window", "stride"), [(2, 27, 5), (8, 7, 1), (16, 3, 1), (4, 13, 2), (100, 1, 1)])
def test_windows_of_other_bins_are_about_as_wide_and_have_a_centre(bin_um, window, stride):
    assert View().rescale(bin_um) == View(window_bins=window, stride_bins=stride)
