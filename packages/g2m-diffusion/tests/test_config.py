import dataclasses
import json
import subprocess
import sys

import pytest

from g2m_diffusion.config import (
    AUTOENCODER_PRESETS,
    FAMILIES,
    PRESETS,
    STUDY,
    AutoencoderSettings,
    CodeSettings,
    ConditionSettings,
    DenoiserSettings,
    DiffusionSettings,
    ObjectiveSettings,
)
from g2m_diffusion.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    written = json.dumps(dataclasses.asdict(PRESETS[name]))
    assert DiffusionSettings.from_dict(json.loads(written)) == PRESETS[name]


@pytest.mark.parametrize("name", AUTOENCODER_PRESETS)
def test_autoencoder_presets_survive_json(name):
    values = json.loads(json.dumps(dataclasses.asdict(AUTOENCODER_PRESETS[name])))
    rebuilt = AutoencoderSettings(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    )
    assert rebuilt == AUTOENCODER_PRESETS[name]


def test_the_paper_s_numbers():
    # reference/MODEL_FACTS.md section 4, paper A3
    for name, batch in (("paper", 32), ("paper-code", 128)):
        settings = PRESETS[name]
        assert settings.of_pairs(307_713).total_images == 55 * 307_713
        assert settings.batch_size == batch
        assert settings.micro_batch == 32
        assert settings.optimizer.lr == 1e-5
        assert settings.optimizer.clip_norm == 1.0
        assert settings.optimizer.warmup_images == 0
        assert settings.condition == ConditionSettings(kind="padded", in_time_embedding=False, dropout=0.1)
        assert settings.objective == ObjectiveSettings(target="epsilon", ddpm_steps=1000, snr_gamma=0.0)
        assert settings.sampling.guidance == (1.0, 3.0, 7.0)
        assert settings.codes == CodeSettings(
            resolution=128, autoencoder="CompVis/stable-diffusion-v1-4", views="flips"
        )
        assert settings.denoiser.pretrained == "CompVis/stable-diffusion-v1-4"


def test_epochs_are_of_the_study_at_hand_unless_images_are_given():
    paper = PRESETS["paper"]
    assert (paper.total_images, paper.epochs) == (0, 55)
    assert paper.of_pairs(37_283).total_images == 55 * 37_283
    assert dataclasses.replace(paper, epochs=0.5).of_pairs(3).total_images == 2
    given = dataclasses.replace(paper, total_images=64)
    assert given.of_pairs(37_283) == given
    assert all(settings.total_images for name, settings in PRESETS.items() if not name.startswith("paper"))
    with pytest.raises(InputError, match="epochs: expected a study with training pairs"):
        paper.of_pairs(0)


def test_base_shows_the_condition_to_the_same_network():
    paper, base = PRESETS["paper"], PRESETS["base"]
    assert base.denoiser == paper.denoiser
    assert base.condition.kind == "projected"
    assert base.condition.tokens > 1
    assert base.condition.in_time_embedding
    assert (base.objective.target, base.objective.ddpm_zero_snr) == ("v_prediction", True)
    assert base.codes.encode_px > base.codes.resolution == paper.codes.resolution


def test_tissue_presets_need_no_download():
    for name in ("tissue", "tiny", "tiny-sd"):
        assert PRESETS[name].denoiser.pretrained == ""
        assert PRESETS[name].codes.autoencoder in ("", STUDY)
    assert PRESETS["tissue"].objective.target == PRESETS["tiny"].objective.target == "flow"


def test_what_is_compared_on_two_cores_has_networks_of_equal_size():
    assert PRESETS["tiny-sd"].denoiser.channels == PRESETS["tiny"].denoiser.channels


def test_every_family_has_a_preset_for_every_preset_of_a_run():
    for rows in FAMILIES.values():
        assert list(rows) == ["paper", "paper-code", "base", "tiny"]
        assert set(rows.values()) <= set(PRESETS)


def test_settings_import_no_torch():
    code = (
        "import sys, g2m_diffusion, g2m_diffusion.config, g2m_diffusion.errors; g2m_diffusion.PRESETS;"
        "sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"total_images": -1}, "total_images"),
        ({"total_images": 0}, "epochs"),
        ({"codes": {"resolution": 15}}, "codes.resolution"),
        ({"codes": {"resolution": 4}}, "codes.resolution"),
        ({"codes": {"pixel_block": 0}}, "codes.pixel_block"),
        ({"codes": {"autoencoder": "study"}}, "codes.views"),
        ({"codes": {"reslution": 64}}, "reslution"),
        ({"denoiser": {"pretrained": "somewhere"}}, "codes.autoencoder"),
        ({"denoiser": {"channels": [100]}}, "denoiser.channels"),
        ({"denoiser": {"channels": []}}, "denoiser.channels"),
        ({"denoiser": {"attention_levels": 0}, "condition": {"in_time_embedding": False}}, "denoiser.attention_levels"),
        ({"denoiser": {"attention_levels": 0}, "condition": {"kind": "padded"}}, "denoiser.attention_levels"),
        ({"condition": {"tokens": 0}}, "condition.tokens"),
        ({"condition": {"dropout": 1.0}}, "condition.dropout"),
        ({"sampling": {"steps": 0}}, "sampling.steps"),
        ({"sampling": {"guidance": []}}, "sampling.guidance"),
        ({"steps": 3}, "steps"),
        ({"codes": 3}, "codes"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(InputError) as error:
        DiffusionSettings.from_dict(values)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_values_that_are_no_choice_are_refused_by_name():
    # in a process without the shape checks of these tests, which know the choices too
    code = """
from g2m_diffusion.config import DiffusionSettings
from g2m_diffusion.errors import InputError
for values in ({"codes": {"views": "all"}}, {"condition": {"kind": "text"}}, {"objective": {"target": "x0"}}):
    try:
        DiffusionSettings.from_dict(values)
    except InputError as error:
        print(error)
"""
    lines = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["codes.views", "condition.kind", "objective.target"]


def test_defaults_are_valid_and_sections_are_independent():
    assert DiffusionSettings.from_dict({}) == DiffusionSettings()
    assert DiffusionSettings.from_dict({"denoiser": {"layers": 1}}).denoiser == DenoiserSettings(layers=1)
