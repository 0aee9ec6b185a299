import json
from dataclasses import replace

import pytest

from g2m_cli.errors import InputError
from g2m_cli.generation import Request
from g2m_cli.models import family_of, label_of
from g2m_cli.stages.autoencoder import autoencoder_record
from g2m_cli.stages.diffusion import diffusion_record, of_study
from g2m_cli.stages.gan import gan_record
from g2m_cli.study_settings import check_batches, requests, resolve_study
from g2m_diffusion import InputError as DiffusionInputError
from g2m_eval import PaperSettings


@pytest.mark.parametrize(
    ("preset", "generators"),
    [("paper", ("gan", "sd")), ("paper-code", ("gan", "sd")), ("base", ("gan", "tissue")), ("tiny", ("gan", "tissue"))],
)
def test_generators_belong_to_the_preset_unless_named(preset, generators):
    assert resolve_study(preset, seed=0).generators == generators
    assert resolve_study(preset, seed=0, generators=["sd"]).generators == ("sd",)


def test_training_is_watched_in_paper_presets_whichever_row_a_family_has():
    found = resolve_study("paper-code", seed=0, generators=["tissue"])
    loops = [found.encoders.loop, found.diffusion["tissue"].loop, found.diffusion["sd"].loop, found.autoencoder.loop]
    assert [loop.evaluations for loop in loops] == [20] * 4
    assert resolve_study("tiny", seed=0).encoders.loop.evaluations == 0


def test_overrides_reach_their_stage_and_decide_whether_an_autoencoder_is_trained():
    found = resolve_study(
        "tiny", seed=0, generators=["gan", "sd"], overrides=["sd.batch_size=4", "vae.batch_size=5", "gan.batch_size=8"]
    )
    assert (found.diffusion["sd"].model.batch_size, found.autoencoder.model.batch_size) == (4, 5)
    assert [found.wants_autoencoder(name) for name in ("gan", "sd")] == [False, True]
    other = resolve_study("tiny", seed=0, generators=["sd"], overrides=["sd.codes.autoencoder=/a/vae"])
    assert not other.wants_autoencoder("sd")


def test_paper_presets_end_with_the_papers_page():
    assert resolve_study("paper", seed=0).paper == PaperSettings(page=True, seeds=4)
    assert not resolve_study("base", seed=0).paper.page
    assert resolve_study("tiny", seed=0, overrides=["paper.page=true", "paper.seeds=2"]).paper.seeds == 2


def test_interpretation_has_settings_of_its_own():
    found = resolve_study(
        "tiny", seed=3, overrides=["interpret.attribution.top_genes=7", "interpret.perturbation.spots=4"]
    )
    own = found.interpretation
    assert (own.model.attribution.top_genes, own.model.perturbation.spots, own.seed) == (7, 4, 3)


def test_each_guidance_strength_is_a_model_of_its_own():
    found = resolve_study("tiny", seed=0, overrides=["tissue.sampling.guidance=[1.0, 2.5, 7]"])
    assert found.models("gan", limit=200) == {"gan": Request()}
    models = found.models("tissue", limit=200)
    assert {name: request.guidance for name, request in models.items()} == {
        "tissue-w1": 1.0,
        "tissue-w2.5": 2.5,
        "tissue-w7": 7.0,
    }
    wanted = requests("tissue-w2.5", models["tissue-w2.5"])
    assert list(wanted) == ["tissue-w2.5", "tissue-w2.5-shuffled", "tissue-w2.5-figure"]
    assert [request.limit for request in wanted.values()] == [200, 200, 10]
    assert {(request.guidance, request.steps) for request in wanted.values()} == {
        (2.5, found.diffusion["tissue"].model.sampling.steps)
    }


def test_how_images_are_drawn_does_not_make_another_model(tmp_path):
    def record(*overrides):
        settings = resolve_study("tiny", seed=0, overrides=overrides).diffusion["tissue"]
        return diffusion_record(tmp_path / "dataset", tmp_path / "embeddings.h5ad", settings)["id"]

    assert record("tissue.sampling.guidance=[1.0, 3.0]", "tissue.sampling.steps=9") == record()
    assert record("tissue.optimizer.lr=0.5") != record()


def test_what_only_saves_memory_or_time_makes_no_other_model(tmp_path):
    def record(stage, *overrides):
        settings = resolve_study("base", seed=0, generators=["gan", "sd"], overrides=overrides)
        if stage == "gan":
            return gan_record(tmp_path, tmp_path, tmp_path, settings.gan)["id"]
        return autoencoder_record(tmp_path, settings.autoencoder)["id"]

    assert record("gan", "gan.micro_batch=32", "gan.compile=true") == record("gan") != record("gan", "gan.batch_size=8")
    assert (
        record("vae")
        == autoencoder_record(
            tmp_path, replace(of := resolve_study("base", seed=0).autoencoder, model=replace(of.model, micro_batch=2))
        )["id"]
    )


def test_epochs_are_counted_in_the_training_pairs_of_the_study(tmp_path):
    (tmp_path / "dataset.json").write_text(
        json.dumps({"id": "d", "samples": {"a": {"split": "train", "spots": 300}, "b": {"split": "test", "spots": 9}}})
    )

    def settings(*overrides):
        overrides = (*overrides, "sd.codes.autoencoder=", "sd.denoiser.pretrained=", "sd.codes.views=one")
        return resolve_study("paper", seed=0, overrides=overrides).diffusion["sd"]

    def record(*overrides):
        return diffusion_record(tmp_path, tmp_path / "embeddings.h5ad", settings(*overrides))

    assert of_study(settings(), tmp_path).model.total_images == 55 * 300
    assert record()["settings"]["total_images"] == 55 * 300
    assert record()["id"] == record("sd.total_images=16500")["id"] != record("sd.epochs=54.5")["id"]
    assert of_study(settings("sd.total_images=64"), tmp_path).model.total_images == 64
    with pytest.raises(DiffusionInputError, match="epochs: expected a study with training pairs"):
        of_study(settings(), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generators": ["gan", "vqgan"]}, "expected names among gan, tissue, sd"),
        ({"generators": [""]}, "expected names among gan, tissue, sd"),
        ({"overrides": ["sd.batch_size=4"]}, "no stage sd; see --generators"),
        ({"overrides": ["vae.batch_size=4"]}, "no stage vae"),
        ({"overrides": ["tissue.batchsize=4"]}, r"unknown setting batchsize; did you mean batch_size\?"),
        ({"overrides": ["interpret.attribution.top=4"]}, "unknown setting attribution.top; did you mean"),
        ({"overrides": ["data.x=4"]}, "STAGE one of encoders, gan, tissue, sd, vae, eval, interpret, paper"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        resolve_study("tiny", seed=0, **arguments)


def test_names_tell_family_and_label():
    assert [family_of(name) for name in ("gan", "tissue-w1", "sd-w7.5")] == ["gan", "tissue", "sd"]
    assert [label_of(name) for name in ("gan", "sd-w7.5")] == ["StyleGAN-G", "sd (w = 7.5)"]


@pytest.mark.parametrize(
    ("processes", "overrides", "message"),
    [
        ("1", [], None),
        ("2", [], None),
        ("3", [], "encoders.batch_size = 64 is not a multiple of 3 processes"),
        ("4", ["gan.batch_size=16"], "gan.batch_size = 16 is not a multiple of 4 processes x groups of 8 samples"),
        (
            "2",
            ["tissue.batch_size=5"],
            "tissue.batch_size = 5 is not a multiple of 2 processes: choose a multiple of 2",
        ),
    ],
)
def test_batches_that_processes_cannot_share_are_told_before_training(monkeypatch, processes, overrides, message):
    monkeypatch.setenv("WORLD_SIZE", processes)
    settings = resolve_study("tiny", seed=0, overrides=overrides)
    if message is None:
        check_batches(settings)
        return
    with pytest.raises(InputError, match=message):
        check_batches(settings)
