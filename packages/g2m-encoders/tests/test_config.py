import dataclasses
import json
import subprocess
import sys

import pytest

from g2m_encoders import PRESETS, InputError
from g2m_encoders.config import AugmentationSettings, EncoderSettings, settings_from_dict, settings_to_dict


@pytest.mark.parametrize("name", PRESETS)
def test_preset_survives_a_round_trip_through_json(name):
    assert settings_from_dict(json.loads(json.dumps(settings_to_dict(PRESETS[name])))) == PRESETS[name]


def test_paper_preset_has_the_papers_numbers():
    paper = PRESETS["paper"]
    assert paper.total_images == 537_600  # 4,200 iterations of 128
    assert (paper.batch_size, paper.max_pairs, paper.optimizer.lr) == (128, 10_000, 5e-6)
    assert (paper.expression.dropout, paper.image.dropout) == (0.8, 0.8)
    assert (paper.image.backbone, paper.image.frozen, paper.image.input_size) == ("hf-hub:MahmoodLab/UNI", True, 224)
    assert paper.learn_temperature


def test_paper_code_keeps_the_temperature_at_one():
    code = PRESETS["paper-code"]
    assert (code.temperature, code.learn_temperature) == (1.0, False)


def test_unknown_key_is_refused_with_the_nearest_valid_one():
    with pytest.raises(InputError, match=r"'image\.backbon'; did you mean 'image\.backbone'"):
        settings_from_dict({"image": {"backbon": "resnet18"}})


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 1},
        {"temperature": 0.0},
        {"optimizer": {"decay": "linear"}},
        {"expression": {"dropout": 1.0}},
    ],
)
def test_settings_that_cannot_be_trained_are_refused(change):
    with pytest.raises(InputError, match=r"expected|needs"):
        settings_from_dict(change)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EncoderSettings().batch_size = 3
    assert AugmentationSettings() == AugmentationSettings()


def test_reading_settings_does_not_import_torch():
    code = "import sys, g2m_encoders; g2m_encoders.PRESETS, g2m_encoders.InputError; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
