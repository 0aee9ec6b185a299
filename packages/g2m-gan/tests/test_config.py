import dataclasses
import json
import subprocess
import sys

import pytest

from g2m_gan.config import PRESETS, GanSettings, GuidanceSettings
from g2m_gan.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    written = json.dumps(dataclasses.asdict(PRESETS[name]))
    assert GanSettings.from_dict(json.loads(written)) == PRESETS[name]


def test_paper_presets_count_iterations_of_128_images():
    for name in ("paper", "paper-code"):
        settings = PRESETS[name]
        assert settings.batch_size == 128
        assert settings.micro_batch == 128
        assert not settings.augment.flip
        assert [stage.total_images for stage in settings.stages] == [16_000 * 128, 50_000 * 128]
        assert settings.ema.half_life_images == 128 * 10_000 / 32


def test_paper_and_its_code_differ_in_features_guidance_and_frozen_layers_only():
    assert PRESETS["paper"].guidance == GuidanceSettings(weight=0.2, reduction="mean", crop_px=0)
    paper, code = PRESETS["paper"], PRESETS["paper-code"]
    assert "owkin" in paper.discriminator.features
    assert "lunit" in code.discriminator.features
    same = {"discriminator": paper.discriminator, "guidance": paper.guidance, "stages": paper.stages}
    assert dataclasses.replace(code, **same) == paper


def test_settings_import_no_torch():
    code = "import sys, g2m_gan, g2m_gan.config, g2m_gan.errors; g2m_gan.PRESETS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"batch_size": 12}, "batch_size"),
        ({"augment": {"policy": ["colour"]}}, "augment.policy"),
        ({"guidance": {"wieght": 1.0}}, "wieght"),
        ({"stages": [{"resolution": 60}]}, "stages[0].resolution"),
        ({"stages": [{"trainable": "new-layers"}]}, "stages[0].trainable"),
        ({"stages": [{"resolution": 64}, {"resolution": 64}]}, "stages[1].resolution"),
        ({"stages": []}, "stages"),
        ({"steps": 3}, "steps"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(InputError) as error:
        GanSettings.from_dict(values)
    assert named in str(error.value)
    assert "\n" not in str(error.value)
