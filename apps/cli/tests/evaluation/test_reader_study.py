"""A reader study of a study's own test spots, created and scored from the command line."""

import json
import socket
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import zarr
from typer.testing import CliRunner

from g2m_cli.commands.eval_study import app
from g2m_cli.evaluation import reader_study, scoring
from g2m_eval.reader_study.layout import ANSWERS, open_study, read_key
from g2m_eval.reader_study.store import Answer, AnswerStore


@pytest.fixture
def study(tmp_path, monkeypatch):
    """60 test spots of two sections; images of 40 of them, two noises each, by value 100 + their spot's number."""
    generator = np.random.default_rng(0)
    names = [f"{'ab'[spot % 2]}:{spot}" for spot in range(60)]
    sections = {name: {"split": "test", "patch_um": 55.0} for name in "ab"}
    spots = scoring.TestSpots(
        dataset=SimpleNamespace(manifest={"samples": sections}),
        obs=pd.DataFrame({"sample": [name[0] for name in names]}, index=names),
        patches=generator.integers(0, 255, (60, 16, 16, 3), dtype=np.uint8),
        truth=None,
    )
    monkeypatch.setattr(reader_study, "load_test_spots", lambda folder: spots)
    folder = tmp_path / "generated" / "gan"
    folder.mkdir(parents=True)
    rows = np.repeat(generator.permutation(60)[:40], 2)
    images = zarr.create_array(folder / "images.zarr", shape=(80, 8, 8, 3), dtype=np.uint8)
    images[:] = (100 + rows).astype(np.uint8)[:, None, None, None]
    drawn = [names[row] for row in rows]
    pd.DataFrame({"spot": drawn, "prompt": drawn, "seed": [0, 1] * 40}).to_parquet(folder / "index.parquet")
    (folder / "provenance.json").write_text(json.dumps({"id": "g1"}))
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def create(study, *arguments):
    found = invoke("create", study, "--out", study / "readers", "--images", 20, "--readers", 3, *arguments)
    assert found.exit_code == 0
    return study / "readers"


def test_spots_are_shown_once_and_images_are_those_of_their_spots(study):
    folder = create(study, "--clusters", 5)
    key = read_key(folder)
    assert len({entry["spot"] for entry in key["images"].values()}) == 20
    assert [entry["truth"] for entry in key["images"].values()].count("real") == 10
    assert key["provenance"]["parents"]["generated/gan"] == "g1"
    assert open_study(folder).width_um == 55.0
    for name, entry in key["images"].items():
        if entry["truth"] == "generated":
            number = int(entry["spot"].split(":")[1])
            raw = (folder / "images" / f"{name}.png").read_bytes()
            assert bytes([0, *[100 + number] * 24]) in raw  # a row of 8 pixels


def test_answers_are_scored_and_reported(study):
    folder = create(study)
    store, key = AnswerStore(folder / ANSWERS), read_key(folder)["images"]
    for reader, order in list(open_study(folder).orders.items())[:2]:
        rows = [Answer(f"{place}", image, key[image]["truth"], place) for place, image in enumerate(order)]
        store.save(reader, rows)
    found = invoke("score", folder)
    assert found.exit_code == 0
    assert "accuracy    1.000 (0.000)" in found.stdout
    assert "not counted, unfinished: reader-03 (0)" in found.stderr
    metrics = json.loads((folder / "report" / "metrics.json").read_text())
    assert metrics["reader_study"]["accuracy"]["mean"] == 1.0
    assert {"report.html", "images.csv", "readers.csv", "table-2.csv"} <= {
        p.name for p in (folder / "report").iterdir()
    }
    assert len(pd.read_csv(folder / "report" / "images.csv")) == 20


def test_report_replaces_no_file_of_a_user(study):
    folder = create(study)
    store, key = AnswerStore(folder / ANSWERS), read_key(folder)["images"]
    store.save("reader-01", [Answer(f"{place}", image, "real", place) for place, image in enumerate(key)])
    first = invoke("score", folder)
    assert "nan" not in first.stdout
    assert "precision  not defined" in first.stdout
    assert "shows which images are real" in first.stderr
    assert invoke("score", folder).exit_code == 0  # its own is replaced
    (folder / "report" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        invoke("score", folder)
    assert (folder / "report" / "notes.txt").read_text() == "mine"


def test_folder_is_looked_at_before_spots_are_grouped(study, monkeypatch):
    monkeypatch.setattr(reader_study, "load_test_spots", lambda folder: pytest.fail("began"))
    for out, message in ((study / "generated", "exists already"), (study / "file" / "new", "it is a file")):
        (study / "file").touch()
        with pytest.raises(ValueError, match=message):
            invoke("create", study, "--out", out)


def test_links_are_printed_before_serving_and_a_taken_port_is_told(study, monkeypatch):
    folder = create(study)
    monkeypatch.setattr("g2m_eval.reader_study.server.serve", lambda app, listening: listening.close())
    found = invoke("serve", folder, "--port", 0, "--address", "https://reading.example.org/")
    tokens = {reader: token for token, reader in open_study(folder).tokens.items()}
    assert found.stdout.splitlines() == [f"{r}\thttps://reading.example.org/r/{tokens[r]}" for r in sorted(tokens)]
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ValueError, match="cannot listen"):
        invoke("serve", folder, "--port", taken.getsockname()[1])
