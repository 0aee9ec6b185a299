"""`g2m diffusion`, stage by stage: an autoencoder of the study's own, a model of its latents, several strengths."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import zarr

TINY_VAE = ["--set", "channels=[8, 16]", "--set", "total_images=64", "--set", "batch_size=16"]
TINY_SD = [
    "--set", "total_images=64", "--set", "batch_size=16", "--set", "denoiser.channels=[16, 32]",
    "--set", "sampling.steps=2", "--set", "codes.resolution=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def vae(study, tmp_path_factory, run_g2m):
    run = tmp_path_factory.mktemp("vae") / "run"
    result = run_g2m("diffusion", "train-vae", study / "dataset", "--out", run, "--preset", "tiny", *TINY_VAE)
    assert result.returncode == 0, result.stderr
    return run


@pytest.fixture(scope="module")
def train_sd(study, vae, run_g2m):
    """Train in the autoencoder's latents."""

    def train(run, *more):
        return run_g2m(
            "diffusion", "train", study / "dataset", study / "embeddings.h5ad", "--out", run, "--preset", "tiny-sd",
            "--autoencoder", vae / "model", *TINY_SD, *more,
        )  # fmt: skip

    return train


@pytest.fixture(scope="module")
def sd(train_sd, tmp_path_factory):
    run = tmp_path_factory.mktemp("sd") / "run"
    result = train_sd(run)
    assert result.returncode == 0, result.stderr
    return run


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_autoencoder_tells_its_reconstruction_error(vae):
    assert rows(vae)[-1]["pixel_error"] > 0
    assert (vae / "model" / "config.json").is_file()
    assert "mean squared error" in (vae / "model" / "README.md").read_text()


def test_latents_of_every_training_patch_are_kept_once(study, vae, sd):
    moments = np.load(sd / "cache" / "moments.npy", mmap_mode="r")
    train = json.loads((study / "dataset" / "dataset.json").read_text())["samples"].values()
    assert moments.dtype == np.float16
    assert moments.shape == (sum(entry["spots"] for entry in train if entry["split"] == "train"), 2, 8, 16, 16)
    parents = json.loads((sd / "provenance.json").read_text())["parents"]
    assert parents["autoencoder"] == json.loads((vae / "provenance.json").read_text())["id"]


@pytest.mark.slow
def test_run_that_lost_its_checkpoints_keeps_its_latents_and_comes_to_the_same_losses(sd, train_sd, tmp_path):
    copy = shutil.copytree(sd, tmp_path / "run")
    cache = copy / "cache" / "moments.npy"
    before = cache.stat().st_mtime_ns
    shutil.rmtree(copy / "model")
    shutil.rmtree(copy / "checkpoints")

    assert train_sd(copy).returncode == 0
    assert cache.stat().st_mtime_ns == before
    losses = [[row["loss"] for row in rows(run) if "loss" in row] for run in (sd, copy)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


def test_each_strength_has_a_folder_of_its_own_from_the_same_noise(study, sd, tmp_path, run_g2m):
    result = run_g2m(
        "diffusion", "generate", sd / "model", study / "embeddings.h5ad", "--out", tmp_path / "sd",
        "--guidance", "1,3,7.5", "--limit", 6, "--seeds", 2,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    folders = [tmp_path / f"sd-w{strength}" for strength in ("1", "3", "7.5")]
    assert sorted(tmp_path.iterdir()) == sorted(folders)
    images = [np.asarray(zarr.open_array(folder / "images.zarr", mode="r")[:]) for folder in folders]
    indices = [pd.read_parquet(folder / "index.parquet") for folder in folders]
    records = [json.loads((folder / "provenance.json").read_text()) for folder in folders]
    assert {image.shape for image in images} == {(12, 32, 32, 3)}
    assert (images[0] != images[1]).any()
    for index in indices[1:]:
        pd.testing.assert_frame_equal(index, indices[0])
    assert len({record["id"] for record in records}) == 3
    assert all(record["timing"]["seconds_per_1000_images"] > 0 for record in records)


@pytest.mark.slow
def test_study_with_an_autoencoder_of_its_own_reaches_its_report(phantom, tmp_path, run_g2m):
    settings = [
        "encoders.total_images=64", "encoders.batch_size=16", "eval.extractor_steps=20", "eval.permutations=99",
        *(f"vae.{entry}" for entry in TINY_VAE[1::2]), *(f"sd.{entry}" for entry in TINY_SD[1::2]),
    ]  # fmt: skip
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    out = tmp_path / "out"
    for expected in (0, 9):
        result = run_g2m(
            "run", phantom / "study.toml", "--out", out, "--preset", "tiny", "--generators", "sd", "--spots", 40,
            *arguments,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("unchanged, kept") == expected
    metrics = json.loads((out / "report" / "metrics.json").read_text())
    assert list(metrics["models"]) == ["sd-w1"]
    assert metrics["models"]["sd-w1"]["n"]["generated"] == metrics["models"]["sd-w1"]["n"]["test"] == 40
    assert (out / "report" / "figures" / "training-vae.png").is_file()
