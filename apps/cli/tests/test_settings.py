from dataclasses import dataclass, field

import pytest

from g2m_cli.errors import InputError
from g2m_cli.settings import LoopSettings, describe, resolve


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)


@dataclass(frozen=True, kw_only=True)
class Stage:
    resolution: int = 64


@dataclass(frozen=True, kw_only=True)
class Model:
    optimizer: Optimizer = field(default_factory=Optimizer)
    stages: tuple[Stage, ...] = (Stage(), Stage(resolution=128))
    backbone: str = "resnet"
    limit: int | None = 10


PRESETS = {"base": Model(), "tiny": Model(backbone="test")}


def test_paper_presets_evaluate_twenty_times_a_stage_and_others_at_its_end():
    paper = resolve({"paper": Model()}, "paper").loop
    assert paper.over(16_924_215).evaluate_images == 846_210
    assert paper.over(9).evaluate_images == 1
    assert (
        resolve({"paper": Model()}, "paper", overrides=["loop.evaluate_images=7"]).loop.over(640).evaluate_images == 7
    )
    assert resolve({"paper": Model()}, "paper", overrides=["loop.evaluations=0"]).loop.over(640).evaluate_images == 0
    assert resolve(PRESETS, "tiny").loop == LoopSettings()


def test_override_wins_over_file_wins_over_preset(tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text('backbone = "vit"\nlimit = 3\n[optimizer]\nlr = 0.5\n[loop]\nkeep_checkpoints = 7\n')

    settings = resolve(PRESETS, "tiny", config=config, overrides=["optimizer.lr=0.25"], seed=4)

    assert settings.model == Model(backbone="vit", limit=3, optimizer=Optimizer(lr=0.25))
    assert (settings.loop.keep_checkpoints, settings.seed) == (7, 4)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("backbone=hf-hub:a/b", "hf-hub:a/b"),
        ("limit=none", None),
        ("optimizer.betas=[0.5, 0.9]", (0.5, 0.9)),
        ("stages.1.resolution=256", 256),
        ("loop.log_images=64", 64),
        ("seed=9", 9),
    ],
)
def test_override_reaches_its_field(override, value):
    settings = resolve(PRESETS, "base", overrides=[override])
    key = override.partition("=")[0]

    at = settings if key.split(".")[0] in ("loop", "seed") else settings.model
    for part in key.split("."):
        at = at[int(part)] if part.isdigit() else getattr(at, part)
    assert at == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", r"unknown setting optimizer\.lrr; did you mean optimizer\.lr\?"),
        ("optimiser.lr=1", r"unknown setting optimiser; did you mean optimizer\?"),
        ("optimizer.lr=fast", r"setting optimizer\.lr = 'fast'.*number"),
        ("stages.5.resolution=1", r"stages has entries 0 to 1"),
        ("limit", "expected key=value"),
    ],
)
def test_wrong_override_is_named_with_the_remedy(override, message):
    with pytest.raises(InputError, match=message):
        resolve(PRESETS, "base", overrides=[override])


def test_unknown_key_of_a_file_names_file_and_nearest(tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text("[optimizer]\nlrate = 1\n")
    with pytest.raises(InputError, match=r"settings\.toml: unknown setting optimizer\.lrate"):
        resolve(PRESETS, "base", config=config)


def test_unknown_preset_lists_those_there_are():
    with pytest.raises(InputError, match="did you mean tiny"):
        resolve(PRESETS, "tinny")


def test_describe_lists_every_leaf():
    lines = describe(resolve(PRESETS, "base"))
    assert "optimizer.lr = 0.001" in lines
    assert "stages.1.resolution = 128" in lines
    assert "loop.keep_checkpoints = 2" in lines


def test_every_described_key_can_be_set():
    lines = describe(resolve(PRESETS, "base"))
    again = resolve(
        PRESETS, "base", overrides=[line.replace("(", "[").replace(")", "]").replace("'", '"') for line in lines]
    )
    assert again == resolve(PRESETS, "base")


def test_check_of_a_settings_class_is_told_in_its_own_words():
    from g2m_diffusion import PRESETS

    with pytest.raises(InputError) as error:
        resolve(PRESETS, "base", overrides=["codes.views=dihedral"])
    assert str(error.value).startswith("codes.views: expected one or flips with an autoencoder")
