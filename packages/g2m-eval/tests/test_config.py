import dataclasses

import pytest

from g2m_eval.config import PRESETS, EvaluationSettings, MarkerSet, SpaceSettings
from g2m_eval.errors import InputError


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(EvaluationSettings) if field.name != "space"]
)
@pytest.mark.parametrize("value", [0, -1])
def test_settings_that_are_not_positive_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name}: expected a positive number, found {value}"):
        EvaluationSettings(**{name: value})


def test_settings_of_the_space_are_refused_by_name():
    with pytest.raises(InputError, match=r"space\.clusters: expected a number from 2, found 1"):
        SpaceSettings(clusters=1)
    twice = (MarkerSet(region="fat", genes=("Plin1",)), MarkerSet(region="fat", genes=("Ucp1",)))
    with pytest.raises(InputError, match=r"space\.markers: region 'fat' is given twice"):
        SpaceSettings(markers=twice)
    with pytest.raises(InputError, match="a region needs a name and a gene"):
        MarkerSet(region="fat", genes=())


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EvaluationSettings().permutations = 1


def test_every_preset_is_there_and_tiny_is_the_cheapest():
    assert set(PRESETS) == {"paper", "paper-code", "base", "tiny"}
    assert PRESETS["tiny"].extractor_steps < PRESETS["base"].extractor_steps
    assert PRESETS["tiny"].train_patches < PRESETS["paper"].train_patches
