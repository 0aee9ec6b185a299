"""From Space Ranger folders to a report, as a person would do it."""

import json
import shutil

import anndata
import numpy as np
import pandas as pd
import zarr

MODELS = ["gan", "tissue-w1", "tissue-w2.5"]


def test_report_and_every_artefact_are_there(study):
    for path in (
        "dataset/dataset.json",
        "runs/encoders/model/config.json",
        "runs/encoders/metrics.jsonl",
        "embeddings.h5ad",
        "runs/gan/model/model.safetensors",
        "runs/tissue/model/model_index.json",
        "generated/gan/index.parquet",
        "generated/tissue-w1/index.parquet",
        "generated/tissue-w2.5/index.parquet",
        "report/report.html",
        "report/metrics.json",
        "report/table1.csv",
        "report/attribution-pairs.csv",
        "report/enrichment-terms.csv",
        "interpret/attribution/attributions.h5ad",
        "interpret/enrichment/enrichment.csv",
        "interpret/perturbations/factors/factors.csv",
    ):
        assert (study / path).is_file(), path
    assert list((study / "report" / "figures").glob("*.png"))
    for generator in ("gan", "tissue"):
        assert list((study / "runs" / generator / "samples").glob("*.png"))


def test_metrics_hold_the_agreed_keys(study):
    metrics = json.loads((study / "report" / "metrics.json").read_text())

    assert set(metrics["dataset"]["samples"]) == {"hd1", "visium1", "visium2", "visium3"}
    assert {"platform", "split", "spots", "mpp", "patch_um"} <= set(metrics["dataset"]["samples"]["hd1"])
    assert {"retrieval_top5", "chance_top5", "loss", "loss_chance", "loss_floor"} <= set(metrics["encoders"])
    gan = metrics["models"]["gan"]
    assert {
        "extractor", "frechet_generated_vs_test", "frechet_train_vs_test", "frechet_shuffled_vs_test",
        "kernel_generated_vs_test", "region_accuracy", "region_accuracy_real", "region_accuracy_mean_rgb", "factors",
        "seconds_per_1000_images",
    } <= set(gan)  # fmt: skip
    assert list(metrics["models"]) == MODELS
    for model in metrics["models"].values():
        assert set(model) == set(gan)
        assert model["extractor"] == gan["extractor"]
        assert model["seconds_per_1000_images"] > 0
    for factor in gan["factors"].values():
        assert {"within_region_generated", "within_region_real", "p"} <= set(factor)
    for metric in ("retrieval", "region_accuracy", "nuclei_count", "nuclei_size", "transcriptome"):
        for kind in ("real", "generated", "shuffled"):
            assert {"value", "low", "high"} == set(gan["fidelity"][metric][kind])
    assert {"closer_than_held_out", "auc", "median_distance"} <= set(gan["memorisation"])
    assert {"position", "sections"} <= set(gan["stain"])
    assert {
        "ari_joint_vs_samplewise", "ari_joint_vs_samplewise_pooled", "ari_joint_vs_sample", "ari_expression_vs_sample",
        "ari_region_vs_sample", "ari_joint_vs_region",
    } <= set(metrics["clusters"])  # fmt: skip
    assert {"driver_auroc_mean", "driver_auroc_min", "difference_of_means_auroc", "completeness_error"} <= set(
        metrics["attribution"]
    )
    assert metrics["attribution"]["completeness_error"] <= 1e-5
    assert 0 <= metrics["enrichment"]["true_set_in_top5"] <= 1
    assert metrics["perturbation"]["factors"]
    for factor in metrics["perturbation"]["factors"].values():
        assert {
            "dose_spearman", "beyond_random", "sign", "right_direction", "statistic", "spots", "seeds",
        } <= set(factor)  # fmt: skip
        assert factor["sign"] == 1
    assert {"attribution", "enrichment", "perturbation"} <= set(metrics["seconds"])
    assert metrics["seed"] == 0
    assert metrics["peak_rss_gib"] > 0
    assert metrics["seconds"]["gan"] > 0


def test_table_1_has_a_row_for_each_generator_and_one_of_real_patches(study):
    table = pd.read_csv(study / "report" / "table1.csv")
    assert table["generator"].tolist() == ["StyleGAN-G", "tissue (w = 1)", "tissue (w = 2.5)", "real training patches"]
    page = (study / "report" / "report.html").read_text()
    assert page.index("Table 1") < page.index("What the genes drew</h2>")
    for label in table["generator"][:3]:
        assert f"{label}: do generated patches look like real ones?" in page


def test_all_generators_draw_the_same_spots_and_noise(study):
    indices = [pd.read_parquet(study / "generated" / name / "index.parquet") for name in MODELS]
    for index in indices[1:]:
        pd.testing.assert_frame_equal(index, indices[0])


def test_report_is_one_file_that_loads_nothing(study):
    page = (study / "report" / "report.html").read_text()
    assert "data:image/png;base64," in page
    for outside in ('src="http', "src='http", 'href="http', "url(http", '<script src="'):
        assert outside not in page


def test_embeddings_are_ordinary_anndata(study):
    embeddings = anndata.read_h5ad(study / "embeddings.h5ad")
    np.testing.assert_allclose(np.linalg.norm(embeddings.X, axis=1), 1, atol=1e-4)
    assert embeddings.uns["null_embedding"].shape == (embeddings.n_vars,)
    assert embeddings.obsm["spatial"].shape == (embeddings.n_obs, 2)
    assert {"sample", "split"} <= set(embeddings.obs)


def test_generated_images_have_one_index_row_each(study):
    images = zarr.open_array(study / "generated" / "gan" / "images.zarr", mode="r")
    index = pd.read_parquet(study / "generated" / "gan" / "index.parquet")
    assert images.dtype == np.uint8
    assert images.shape[0] == len(index) > 0
    assert (index["spot"] == index["prompt"]).all()
    shuffled = pd.read_parquet(study / "generated" / "gan-shuffled" / "index.parquet")
    assert (shuffled["spot"] != shuffled["prompt"]).mean() > 0.9


def test_second_run_needs_no_options_and_skips_what_is_done(study, phantom, run_g2m):
    models = [study / "runs" / name / "model" for name in ("encoders", "gan", "tissue")]
    before = [path.stat().st_mtime_ns for path in models]
    result = run_g2m("run", phantom / "study.toml", "--out", study)
    assert result.returncode == 0, result.stderr
    assert [path.stat().st_mtime_ns for path in models] == before
    assert result.stderr.count("unchanged, kept") == 18
    assert not (study / "superseded").exists()


def test_a_later_question_starts_from_what_the_study_was_made_with(study, tmp_path, run_g2m):
    result = run_g2m("interpret", "enrich", study, "--out", tmp_path / "sets")
    assert result.returncode == 0, result.stderr
    folders = tmp_path / "sets", study / "interpret" / "enrichment"
    again, first = (json.loads((folder / "provenance.json").read_text()) for folder in folders)
    assert again["id"] == first["id"]


def test_changed_setting_redoes_what_depends_on_it_and_keeps_the_old(study, phantom, tmp_path, run_g2m, briefly):
    copy = shutil.copytree(study, tmp_path / "copy")
    settings = ("gan.guidance.weight=0.25", "tissue.sampling.guidance=[1.0]", "interpret.attribution.top_genes=7")
    changed = [argument for setting in settings for argument in ("--set", setting)]
    result = run_g2m("run", phantom / "study.toml", "--out", copy, *briefly, *changed)
    assert result.returncode == 0, result.stderr
    for name in ("encoders", "tissue", "generate_tissue-w1"):
        assert f"{name}: unchanged, kept" in result.stderr
    assert "gan: unchanged, kept" not in result.stderr
    assert sorted(path.name.split("-", 2)[2] for path in (copy / "superseded").iterdir()) == [
        "attribution", "enrichment", "factors", "gan", "gan", "gan-figure", "gan-shuffled", "report",
    ]  # fmt: skip
    assert pd.read_csv(copy / "interpret" / "attribution" / "genes.csv")["rank"].max() == 7
    # images that are there but no longer asked for stay out of the report
    assert (copy / "generated" / "tissue-w2.5").is_dir()
    assert list(json.loads((copy / "report" / "metrics.json").read_text())["models"]) == ["gan", "tissue-w1"]


def test_report_shows_genes_between_regions_their_sets_and_what_they_draw(study):
    page = (study / "report" / "report.html").read_text()
    chapters = [
        "Which genes tell regions apart?",
        "Which gene sets tell regions apart?",
        "What if the genes were others?",
    ]
    places = [page.index(f"<h2>{title}") for title in chapters]
    assert places == sorted(places)
    assert places[-1] < page.index("How it was trained</h2>")
    for figure in ("perturbation-strip", "perturbation-doses"):
        assert (study / "report" / "figures" / f"{figure}.png").is_file()
