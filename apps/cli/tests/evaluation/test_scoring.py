"""A report of fewer spots than there are, and of no more generators than belong to it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from g2m_cli.errors import InputError
from g2m_cli.evaluation import scoring
from g2m_cli.models import drawn_models
from g2m_cli.study import Study


@pytest.fixture
def spots():
    names = [f"s:{number}" for number in range(6)]
    return scoring.TestSpots(
        dataset=SimpleNamespace(manifest={"samples": {"s": {"split": "test", "patch_um": 55.0}}}),
        obs=pd.DataFrame({"sample": pd.Categorical(["s"] * 6)}, index=names),
        patches=np.arange(6, dtype=np.uint8)[:, None, None, None],
        truth=pd.DataFrame({"region": list("aabbcc")}, index=names),
    )


def test_spots_that_were_not_drawn_are_left_out_of_every_table(spots):
    rows = spots.find(pd.Series(["s:4", "s:1"]), Path("generated/x"))
    some = spots.only(rows)
    assert len(some) == 2
    assert some.patches.ravel().tolist() == [4, 1]
    assert some.regions == ["c", "a"]
    assert some.samples.tolist() == ["s", "s"]
    assert spots.only(np.arange(6)) is spots


def test_image_of_an_unknown_spot_is_refused(spots):
    with pytest.raises(InputError, match="generated/x: spot s:9 is no test spot"):
        spots.find(pd.Series(["s:1", "s:9"]), Path("generated/x"))


def write_record(folder, number, **parents):
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"id": number, "parents": parents}))


def test_only_images_of_the_present_models_are_found(tmp_path, capsys):
    study = Study(tmp_path)
    write_record(study.run("gan"), "g2")
    write_record(study.run("tissue"), "t1")
    for name, model in (("tissue-w1", "t1"), ("tissue-w3", "t0"), ("gan", "g2"), ("sd-w1", "s1")):
        for companion in ("", "-shuffled", "-figure"):
            if name != "sd-w1" or not companion:
                write_record(study.generated(name + companion), name, model=model, embeddings=None)
    write_record(study.generated("of-mine"), "x")

    assert drawn_models(study) == ["gan", "tissue-w1"]
    told = capsys.readouterr().err
    assert "tissue-w3: left out of the report, it was drawn by another model" in told
    assert "sd-w1: left out of the report, sd-w1-shuffled is missing" in told


def test_study_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="no images of the study's models"):
        drawn_models(Study(tmp_path))
