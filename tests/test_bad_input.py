"""Each mistake of a user ends in one line that names file and remedy, exit code 2, and no partial output."""

import anndata
import h5py
import numpy as np
import pytest
import tifffile


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def of_sample(study, sample):
    return study / "raw" / sample


def first_matrix(study):
    return sorted(study.glob("raw/visium1/**/filtered_feature_bc_matrix.h5"))[0]


def missing_image(study):
    next(of_sample(study, "visium1").glob("tissue.*")).unlink()
    return ["tissue"]


def missing_matrix(study):
    first_matrix(study).unlink()
    return ["visium1"]


def truncated_matrix(study):
    path = first_matrix(study)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [path.name]


def other_positions(study):
    path = first_matrix(study)
    with h5py.File(path, "r+") as file:
        barcodes = file["matrix/barcodes"]
        barcodes[...] = np.array(
            [f"NOSUCHBARCODE{number:03d}-1".encode() for number in range(len(barcodes))], barcodes.dtype
        )
    return ["barcode"]


def slide_too_small(study):
    path = next(of_sample(study, "visium1").glob("tissue.*"))
    tifffile.imwrite(path, np.full((64, 64, 3), 200, np.uint8))
    return [path.name]


def unknown_key(study):
    replace_in(study / "study.toml", "stride_bins", "strid_bins")
    return ["strid_bins", "stride_bins"]


def unknown_platform(study):
    replace_in(study / "study.toml", '"visium-hd"', '"visium-xd"')
    return ["visium-xd", "visium-hd"]


def not_toml(study):
    (study / "study.toml").write_text("[study\n")
    return ["study.toml"]


@pytest.mark.parametrize(
    "damage",
    [
        missing_image,
        missing_matrix,
        truncated_matrix,
        other_positions,
        slide_too_small,
        unknown_key,
        unknown_platform,
        not_toml,
    ],
    ids=lambda damage: damage.__name__,
)
def test_build_refuses_in_one_line_and_leaves_nothing(damage, phantom_copy, tmp_path, run_g2m):
    named = damage(phantom_copy)
    result = run_g2m("data", "build", phantom_copy / "study.toml", "--out", tmp_path / "here" / "dataset")

    assert result.returncode == 2, result.stderr
    message = result.stderr.strip().splitlines()
    assert message[-1].startswith("g2m: ")
    assert "Traceback" not in result.stderr
    for name in named:
        assert name in message[-1]
    assert not (tmp_path / "here").exists() or list((tmp_path / "here").iterdir()) == []


def test_missing_manifest_is_named(tmp_path, run_g2m):
    result = run_g2m("run", tmp_path / "nowhere.toml", "--out", tmp_path / "out", "--preset", "tiny")
    assert result.returncode == 2
    assert "nowhere.toml" in result.stderr.splitlines()[-1]


def test_unknown_setting_is_refused_before_any_work(phantom, tmp_path, run_g2m):
    result = run_g2m("run", phantom / "study.toml", "--out", tmp_path / "out", "--set", "gan.optimizer.lrr=1")
    assert result.returncode == 2
    assert "did you mean" in result.stderr
    assert not (tmp_path / "out").exists()


def test_section_with_half_the_models_genes_is_refused(study, phantom_copy, tmp_path, run_g2m):
    keep_only(phantom_copy / "study.toml", "visium1")
    rename_half_of_the_genes(first_matrix(phantom_copy))
    built = run_g2m("data", "build", phantom_copy / "study.toml", "--out", tmp_path / "dataset")
    assert built.returncode == 0, built.stderr

    out = tmp_path / "embeddings.h5ad"
    result = run_g2m("encoders", "embed", tmp_path / "dataset", study / "runs" / "encoders" / "model", "--out", out)

    assert result.returncode == 2
    assert "95" in result.stderr.splitlines()[-1]
    assert [path for path in tmp_path.iterdir() if "embeddings" in path.name] == []


def keep_only(manifest, sample):
    head, *entries = manifest.read_text().split("[[sample]]")
    manifest.write_text("[[sample]]".join([head, *(entry for entry in entries if f'id = "{sample}"' in entry)]))


def rename_half_of_the_genes(path):
    with h5py.File(path, "r+") as file:
        for key in ("name", "id"):
            names = file[f"matrix/features/{key}"][...].astype(str)
            names[::2] = [f"Other{number}" for number in range(len(names[::2]))]
            del file[f"matrix/features/{key}"]
            file[f"matrix/features/{key}"] = names.astype("S")


def test_truncated_embeddings_are_named(study, tmp_path, run_g2m):
    damaged = tmp_path / "embeddings.h5ad"
    damaged.write_bytes((study / "embeddings.h5ad").read_bytes()[:5000])
    result = run_g2m("gan", "generate", study / "runs" / "gan" / "model", damaged, "--out", tmp_path / "images")
    assert result.returncode == 2
    assert "embeddings.h5ad" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "images").exists()


def test_existing_output_is_never_overwritten(study, tmp_path, run_g2m):
    kept = tmp_path / "images"
    kept.mkdir()
    (kept / "mine.txt").write_text("precious")
    result = run_g2m("gan", "generate", study / "runs" / "gan" / "model", study / "embeddings.h5ad", "--out", kept)
    assert result.returncode == 2
    assert (kept / "mine.txt").read_text() == "precious"


def test_embeddings_that_lack_pairs_are_refused(study, tmp_path, run_g2m):
    embeddings = anndata.read_h5ad(study / "embeddings.h5ad")
    embeddings[embeddings.obs["sample"] != "visium3"].copy().write_h5ad(tmp_path / "fewer.h5ad")

    result = run_g2m(
        "gan", "train", study / "dataset", tmp_path / "fewer.h5ad", "--preset", "tiny",
        "--encoder", study / "runs" / "encoders" / "model", "--out", tmp_path / "gan",
    )  # fmt: skip
    assert result.returncode == 2
    assert "no embedding for" in result.stderr.splitlines()[-1]


def test_guidance_that_is_no_number_is_refused_before_anything_is_opened(tmp_path, run_g2m):
    result = run_g2m(
        "diffusion", "generate", tmp_path / "model", tmp_path / "embeddings.h5ad", "--out", tmp_path / "images",
        "--guidance", "abc",
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "g2m: --guidance abc: expected numbers from 0 separated by commas, for example 1,3,7"
    ]


def test_folder_that_is_no_model_is_refused(study, tmp_path, run_g2m):
    result = run_g2m("diffusion", "generate", study / "runs", study / "embeddings.h5ad", "--out", tmp_path / "images")
    assert result.returncode == 2
    assert "no generator here" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_gan_is_not_drawn_from_with_guidance(study, tmp_path, run_g2m):
    model = study / "runs" / "gan" / "model"
    result = run_g2m(
        "diffusion", "generate", model, study / "embeddings.h5ad", "--out", tmp_path / "images", "--guidance", "1,3"
    )
    assert result.returncode == 2
    assert "knows no guidance" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "tiny-sd"], "add --autoencoder RUN/model"),
        (["--preset", "tiny-sd", "--autoencoder", "nowhere"], "nowhere: no autoencoder here"),
    ],
)
def test_missing_autoencoder_is_refused_and_leaves_nothing(arguments, message, study, tmp_path, run_g2m):
    result = run_g2m(
        "diffusion", "train", study / "dataset", study / "embeddings.h5ad", "--out", tmp_path / "run", *arguments
    )
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
