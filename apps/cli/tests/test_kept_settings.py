from dataclasses import dataclass

import pytest

from g2m_cli.errors import InputError
from g2m_cli.kept_settings import FILE, KeptSettings, as_kept, keep_settings, kept_settings, resolve_in_study


@dataclass(frozen=True, kw_only=True)
class Model:
    steps: int = 100
    width: int = 8


PRESETS = {"base": Model(), "tiny": Model(steps=5)}
MADE = KeptSettings(
    preset="tiny", seed=3, generators=("gan",), spots=40, overrides=("eval.width=16", "gan.batch_size=8")
)


@pytest.fixture
def study(tmp_path):
    keep_settings(tmp_path / "study", MADE)
    return tmp_path / "study"


def test_what_was_kept_is_read_back(study, tmp_path):
    assert kept_settings(study) == MADE
    assert kept_settings(tmp_path / "absent") is None
    (study / FILE).write_text("{")
    with pytest.raises(InputError, match=r"settings.json: damaged .*; `g2m run` writes it again"):
        kept_settings(study)


def test_a_question_starts_from_what_the_study_was_made_with(study, tmp_path, capsys):
    found = resolve_in_study(study, "eval", PRESETS)
    assert (found.model, found.seed) == (Model(steps=5, width=16), 3)
    assert resolve_in_study(study, "interpret", PRESETS).model == Model(steps=5)
    (tmp_path / "own.toml").write_text("width = 4\n")
    found = resolve_in_study(study, "eval", PRESETS, config=tmp_path / "own.toml", overrides=["steps=7"])
    assert found.model == Model(steps=7, width=4)
    assert not capsys.readouterr().err


def test_a_question_told_otherwise_says_so(study, capsys):
    found = resolve_in_study(study, "eval", PRESETS, preset="base", seed=0)
    assert (found.model, found.seed) == (Model(), 0)
    assert "other settings than" in (said := capsys.readouterr().err.replace("\n", " "))
    assert "--preset base (the study's: tiny), --seed 0 (the study's: 3)" in said
    resolve_in_study(study, "eval", PRESETS, preset="tiny", seed=3)  # as it was, without its overrides
    assert not capsys.readouterr().err


def test_a_folder_of_no_run_has_the_defaults(tmp_path, capsys):
    found = resolve_in_study(tmp_path, "eval", PRESETS)
    assert (found.model, found.seed) == (Model(), 0)
    assert resolve_in_study(tmp_path, "eval", PRESETS, preset="tiny").model == PRESETS["tiny"]
    assert not capsys.readouterr().err


def test_the_same_run_without_its_options_is_the_same_run(study, tmp_path):
    assert as_kept(study, KeptSettings(), preset=None, seed=None) == MADE
    more = as_kept(study, KeptSettings(spots=9, overrides=("gan.batch_size=16",)), preset=None, seed=1)
    assert more == KeptSettings(
        preset="tiny", seed=1, generators=("gan",), spots=9, overrides=("eval.width=16", "gan.batch_size=16")
    )
    assert as_kept(study, KeptSettings(), preset="base", seed=None) == KeptSettings()
    assert as_kept(tmp_path / "new", KeptSettings(spots=2), preset=None, seed=None) == KeptSettings(spots=2)
