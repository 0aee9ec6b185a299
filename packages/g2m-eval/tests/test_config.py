import dataclasses

import pytest

from g2m_eval.config import PRESETS, EvaluationSettings
from g2m_eval.errors import InputError


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(EvaluationSettings)])
@pytest.mark.parametrize("value", [0, -1])
def test_settings_that_are_not_positive_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name}: expected a positive number, found {value}"):
        EvaluationSettings(**{name: value})


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EvaluationSettings().permutations = 1


def test_every_preset_is_there_and_tiny_is_the_cheapest():
    assert set(PRESETS) == {"paper", "paper-code", "base", "tiny"}
    assert PRESETS["tiny"].extractor_steps < PRESETS["base"].extractor_steps
    assert PRESETS["tiny"].train_patches < PRESETS["paper"].train_patches
