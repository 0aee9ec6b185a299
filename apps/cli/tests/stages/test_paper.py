"""What the paper's last stage decides before hours are spent."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from g2m_cli.artefacts import Artefacts
from g2m_cli.errors import InputError
from g2m_cli.evaluation.image_extractors import INCEPTION, OWN
from g2m_cli.stages.paper import PaperStages
from g2m_cli.study import Study
from g2m_cli.study_settings import resolve_study
from g2m_eval import InputError as EvalInputError
from g2m_eval.extractors import inception


@pytest.fixture
def stages(tmp_path):
    def make(*overrides, limit=None):
        settings = resolve_study("tiny", seed=0, overrides=["paper.page=true", *overrides])
        return PaperStages(Study(tmp_path), settings, Artefacts(tmp_path), limit=limit)

    return make


@pytest.fixture
def offline(monkeypatch):
    def fail(*_, **__):
        raise EvalInputError("cannot fetch the weights")

    monkeypatch.setattr(inception, "fetch_inception", fail)


def test_without_inception_table_1_has_the_studys_own_network_and_a_line_says_so(stages, offline, capsys):
    paper = stages()
    paper.check()
    assert paper.network == OWN
    assert "Table 1 will have no FID and no KID" in capsys.readouterr().err
    assert paper.images(["gan"]).extractors == (OWN,)
    assert paper.images(["gan"]).seeds == 4


def test_with_inception_it_is_what_table_1_is_measured_through(stages, monkeypatch, tmp_path):
    monkeypatch.setattr(inception.InceptionExtractor, "load", lambda path: SimpleNamespace(path=path))
    paper = stages(f"paper.inception={tmp_path / 'weights.pth'}")
    paper.check()
    assert paper.network == INCEPTION
    assert paper.images(["gan"]).weights == tmp_path / "weights.pth"


def test_a_named_file_that_is_not_inceptions_is_refused(stages, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    with pytest.raises(EvalInputError, match="not the weights of Inception-v3"):
        stages(f"paper.inception={tmp_path / 'weights.pth'}").check()


def test_too_few_images_and_unfinished_readers_are_told_at_once(stages, offline, tmp_path, capsys):
    with pytest.raises(InputError, match="1 spots x 4: distances need more than"):
        stages(limit=1).check()
    with pytest.raises(EvalInputError):
        stages(f"paper.readers={tmp_path / 'absent'}").check()
    assert stages().find_readers() is None  # none were asked for
    (tmp_path / "readers").mkdir()
    assert stages().find_readers() is None
    assert "Table 2 is left out" in capsys.readouterr().err


def test_no_page_no_questions(stages, tmp_path):
    paper = stages("paper.page=false", limit=1)
    paper.check()
    paper.score(["gan"])
    paper.write(["gan"], None)
    assert not list(tmp_path.iterdir())


def test_images_are_drawn_in_the_steps_that_the_settings_want(stages, tmp_path):
    paper = stages("tissue.sampling.steps=3")
    model = tmp_path / "runs" / "tissue" / "model"
    model.mkdir(parents=True)
    (model / "model_index.json").write_text(json.dumps({"steps": 3}))
    assert paper.changed_steps() == {}
    (model / "model_index.json").write_text(json.dumps({"steps": 20}))
    assert paper.changed_steps() == {"tissue": 3}
    assert paper.images(["tissue-w3"]).drawing("tissue-w3").steps == 3
    assert replace(paper.images(["gan"]), steps={}).drawing("gan").steps is None
