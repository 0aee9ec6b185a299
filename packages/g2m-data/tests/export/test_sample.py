import importlib.util
import os
import sys
from types import SimpleNamespace

import pytest

from g2m_data import InputError, View, open_dataset
from g2m_data.export import FORMATS, export_sample


def test_unknown_sample_lists_those_there_are(dataset, tmp_path):
    with pytest.raises(InputError, match="no sample 'x', only spots, hd"):
        export_sample(dataset, "x", tmp_path / "x.h5ad", to="h5ad")


def test_unknown_format_lists_those_there_are(dataset, tmp_path):
    with pytest.raises(InputError, match="unknown format 'loom': expected one of h5ad, spatialdata, hest"):
        export_sample(dataset, "hd", tmp_path / "x.loom", to="loom")


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_overwritten(dataset, tmp_path, to):
    out = tmp_path / "mine"
    out.write_text("mine")
    with pytest.raises(InputError, match="mine: exists already"):
        export_sample(dataset, "hd", out, to=to)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("to", ["h5ad", "hest"])
def test_interrupted_export_leaves_nothing_behind(dataset, tmp_path, to):
    def interrupt(sequence, description="", total=None):
        for number, item in enumerate(sequence):
            yield item
            if number == 1:
                assert len(list((tmp_path / "out").iterdir())) == 1  # what is being written
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_sample(dataset, "hd", tmp_path / "out" / "hd.file", to=to, track=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
def test_full_disk_is_one_line_and_leaves_nothing_behind(dataset, tmp_path, to, monkeypatch):
    resource = pytest.importorskip("resource")
    # the limit holds for what Python itself keeps too: modules and loops compiled now would be cut short, for good
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    next(iter(dataset.stream_counts("hd")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))  # bytes a file may have
    try:
        with pytest.raises(InputError, match=r"^[^\n]*File too large; nothing was written$"):
            export_sample(dataset, "hd", tmp_path / "out" / "x", to=to)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "out").iterdir()) == []


def test_patches_that_the_disk_has_no_space_for_are_refused_at_once(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("g2m_data.export.hest.shutil.disk_usage", lambda path: SimpleNamespace(free=1e5))
    with pytest.raises(InputError, match=r"patches take \d\.\d\d GB, of which 0.00 GB are free; nothing was written"):
        export_sample(dataset, "hd", tmp_path / "hd.h5", to="hest")
    assert not (tmp_path / "hd.h5").exists()


def test_folder_that_cannot_be_written_is_one_line(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="nothing was written"):
        export_sample(dataset, "hd", tmp_path / "file" / "hd.h5ad", to="h5ad")


def test_missing_library_is_one_line_that_says_how_to_install_it(dataset, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("g2m_data.export.sample.find_spec", lambda name: None if name == "spatialdata" else find(name))
    with pytest.raises(InputError, match=r"pip install 'g2m-data\[spatialdata\]'"):
        export_sample(dataset, "hd", tmp_path / "out" / "hd.zarr", to="spatialdata")
    assert not (tmp_path / "out").exists()


def test_what_killed_exports_left_is_swept(dataset, tmp_path):
    out = tmp_path / "out" / "spots.h5ad"
    out.parent.mkdir()
    left = out.with_name(f".{out.name}.building-{os.uname().nodename}-{os.getpid()}")
    left.write_text("half")
    export_sample(dataset, "spots", out, to="h5ad")
    assert list(out.parent.iterdir()) == [out]


def test_section_without_windows_in_this_view_is_refused(dataset, tmp_path):
    wide = open_dataset(dataset.path, view=View(window_bins=201))
    with pytest.raises(InputError, match="'hd' has no window that lies wholly under tissue"):
        export_sample(wide, "hd", tmp_path / "x.h5ad", to="h5ad")
