import json

import anndata
import numpy as np
import pytest

from g2m_eval.config import SpaceSettings
from g2m_eval.errors import InputError
from g2m_eval.space import keys
from g2m_eval.space.evaluate import evaluate_space

THREE = SpaceSettings(clusters=3, neighbours=10)


@pytest.fixture(scope="module")
def study(invent):
    return invent(["v1", "v2"])


@pytest.fixture(scope="module")
def found(study):
    embeddings, expression, truth = study
    return evaluate_space(embeddings=embeddings, expression=expression, truth=truth, settings=THREE)


def test_embedding_follows_regions_and_expression_the_section(found):
    metrics = found.metrics
    assert metrics["ari_joint_vs_samplewise"] == metrics["ari_joint_vs_region"] == 1
    assert metrics["ari_joint_vs_sample"] == pytest.approx(metrics["ari_region_vs_sample"])
    assert metrics["ari_joint_vs_sample"] < 0.02 < 0.5 < metrics["ari_expression_vs_sample"]
    assert {name: entry["ari_with_joint"] for name, entry in metrics["samplewise"].items()} == {
        "hd1": None, "v1": 1.0, "v2": 1.0,
    }  # fmt: skip
    assert (metrics["spots"], metrics["training_pairs"]) == (150, 39)


def test_names_are_the_true_regions(found, study):
    truth = study[2]
    assert (found.adata.obs[keys.SAMPLEWISE].astype(str) == truth["region"]).all()
    assert found.metrics["names"]["balanced_accuracy"]["value"] == 1
    assert found.metrics["names"]["spots"] == 150
    assert found.order == ("CX", "OSOM", "ISOM")
    assert found.clusters.groupby("clustering")["spots"].sum().to_dict() == {
        "joint": 150,
        "hd1": 39,
        "v1": 75,
        "v2": 75,
    }


def test_wrong_names_are_found_out(study):
    embeddings, expression, truth = study
    swapped = truth.assign(region=truth["region"].replace({"CX": "ISOM", "ISOM": "CX"}))
    metrics = evaluate_space(embeddings=embeddings, expression=expression, truth=swapped, settings=THREE).metrics
    assert metrics["ari_joint_vs_region"] == 1
    assert metrics["names"]["balanced_accuracy"]["value"] == pytest.approx(1 / 3)


def test_impure_windows_are_not_asked_for_their_names(study):
    embeddings, expression, truth = study
    mixed = truth.assign(purity=np.where(np.arange(len(truth)) % 2, 0.5, 0.95))
    metrics = evaluate_space(embeddings=embeddings, expression=expression, truth=mixed, settings=THREE).metrics
    assert metrics["names"]["spots"] == 75


def test_file_is_ordinary_anndata(found, tmp_path):
    import scanpy

    found.adata.write_h5ad(tmp_path / "space.h5ad")
    data = anndata.read_h5ad(tmp_path / "space.h5ad")
    assert json.loads(data.uns[keys.CLUSTERS])["spots"] == 150
    train = (data.obs[keys.SPLIT] == "train").to_numpy()
    for key in (keys.JOINT, keys.EXPRESSION):
        np.testing.assert_array_equal(data.obs[key].isna().to_numpy(), train)
    assert not data.obs[keys.SAMPLEWISE].isna().any()
    np.testing.assert_array_equal(np.isnan(data.obsm[keys.UMAP_EXPRESSION]).any(axis=1), train)
    assert np.isfinite(data.obsm[keys.UMAP]).all()
    assert "spatial" in data.obsm
    scanpy.tl.leiden(data, flavor="igraph", n_iterations=2)  # the graph is where scanpy looks for it


def test_real_sections_have_no_truth_and_other_genes(study):
    embeddings, expression, _ = study
    human = expression.copy()
    human.var_names = [f"ENSG{number:011d}" for number in range(human.n_vars)]
    found = evaluate_space(embeddings=embeddings, expression=human, settings=THREE)
    assert not {"names", "ari_joint_vs_region", "ari_region_vs_sample"} & set(found.metrics)
    assert set(found.adata.obs[keys.JOINT].dropna()) == {"unnamed 1", "unnamed 2", "unnamed 3"}
    assert any("12 of 12 marker genes are not in the panel" in warning for warning in found.warnings)
    assert any("No marker speaks" in warning for warning in found.warnings)


def test_one_section_alone(invent):
    embeddings, expression, _ = invent(["v1"], train=0)
    found = evaluate_space(embeddings=embeddings, expression=expression, settings=THREE)
    assert np.isnan(found.metrics["ari_joint_vs_samplewise"])
    assert json.loads(found.adata.uns[keys.CLUSTERS])["ari_joint_vs_samplewise"] is None  # JSON has no NaN
    assert any("one test section" in warning for warning in found.warnings)


def test_a_number_that_no_resolution_gives_is_said(study):
    embeddings, expression, _ = study
    found = evaluate_space(
        embeddings=embeddings, expression=expression, settings=SpaceSettings(clusters=2, neighbours=5)
    )
    assert found.metrics["joint"]["number"] == 3
    assert any("No resolution gave 2 clusters of all test sections: 3 are shown" in w for w in found.warnings)


def test_rows_must_be_the_same_and_some_must_be_test_spots(study):
    embeddings, expression, _ = study
    with pytest.raises(InputError, match="different rows"):
        evaluate_space(embeddings=embeddings, expression=expression[::-1].copy(), settings=THREE)
    train = embeddings.obs["split"] == "train"
    with pytest.raises(InputError, match="no spot of split 'test'"):
        evaluate_space(embeddings=embeddings[train].copy(), expression=expression[train].copy(), settings=THREE)
    few = np.r_[0:80]
    with pytest.raises(InputError, match="section hd1: 39 spots cannot be 60 clusters"):
        evaluate_space(
            embeddings=embeddings[few].copy(), expression=expression[few].copy(), settings=SpaceSettings(clusters=60)
        )
