"""`g2m interpret attribute`: which spots are compared, what is written, and mistakes in one line."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from g2m_cli.errors import is_user_error


def read(study, folder="attribution"):
    return anndata.read_h5ad(study.root / "interpret" / folder / "attributions.h5ad")


def test_true_regions_of_pure_windows_by_default_on_a_phantom(with_truth, interpret):
    found = interpret("attribute")
    assert found.exit_code == 0, found.output
    assert "2 pairs, worst completeness error" in found.stdout
    folder = with_truth.root / "interpret" / "attribution"
    attributed = read(with_truth)
    assert list(attributed.obs_names) == ["CX / fat & glands", "fat & glands / CX"]
    assert set(attributed.obs["sample"]) == {"2 sections"}
    assert (attributed.obs["completeness_error"] <= 1e-5).all()
    metrics = json.loads((folder / "metrics.json").read_text())["attribution"]
    assert metrics["clusters"] == {"CX": 22, "fat & glands": 22}  # one window in twelve holds two regions
    assert metrics["driver_auroc_min"] > 0.9  # an encoder that reads all genes alike follows the difference of means
    assert metrics["driver_auroc_neutral_min"] == metrics["driver_auroc_min"]  # no gene is driven by a factor
    assert metrics["difference_of_means_auroc"] == 1
    assert 0.5 < metrics["untrained_auroc"] <= 1
    assert 0 < metrics["top_genes_shared_with_untrained"] <= 1
    pairs = pd.read_csv(folder / "pairs.csv")
    assert pairs["untrained_auroc"].mean() == pytest.approx(metrics["untrained_auroc"])
    assert pairs["shared_with_difference"].between(0, 1).all()
    assert pairs["shared_by_halves"].mean() == pytest.approx(metrics["top_genes_shared_by_halves"])
    assert (folder / "figures" / "genes-2-sections-fat-and-glands.png").is_file()
    genes = pd.read_csv(folder / "genes.csv")
    assert set(genes[genes["query"] == "CX"].head(8)["gene"]) <= {f"Gene{number}" for number in range(10)}


def test_genes_are_brought_into_the_encoder_s_order(with_truth, interpret):
    assert interpret("attribute", "--pairs", "CX:fat & glands").exit_code == 0
    from g2m_data import open_dataset
    from g2m_encoders import ContrastiveModel

    spots, encoders = open_dataset("", split="test"), ContrastiveModel.from_pretrained("").double()
    pure = (spots.truth()["purity"] >= 0.9).to_numpy()
    mean = [spots.values[pure & (spots.region == name)].mean(axis=0) for name in ("CX", "fat & glands")]
    with torch.no_grad():
        query, reference = (encoders.expression(torch.from_numpy(row[::-1].astype(float))) for row in mean)
    attributed = read(with_truth)
    assert attributed.obs_names.tolist() == ["CX / fat & glands"]
    np.testing.assert_allclose(attributed.obs["distance_change"], float((query - reference).square().sum()), rtol=1e-5)


def test_clusters_of_all_sections_or_of_each(with_space, interpret):
    assert interpret("attribute").exit_code == 0  # without truth: joint
    assert list(read(with_space).obs_names) == ["BAT / CX", "CX / BAT"]
    again = interpret("attribute", "--clusters", "samplewise", "--pairs", "CX:BAT", "--preset", "paper")
    assert again.exit_code == 0, again.output
    assert list(read(with_space).obs_names) == ["A: CX / BAT"]
    assert "B has only CX, ISOM: 0 of 1 pairs compared" in again.stderr
    one = interpret("attribute", "--clusters", "samplewise", "--sample", "B", "--out", with_space.root / "b")
    assert one.exit_code == 0
    assert set(anndata.read_h5ad(with_space.root / "b" / "attributions.h5ad").obs["query"]) == {"CX", "ISOM"}


def test_clusters_of_the_report_where_the_space_was_not_written_by_itself(with_space, interpret):
    (with_space.root / "space").rename(with_space.root / "report")
    assert interpret("attribute").exit_code == 0
    assert list(read(with_space).obs_names) == ["BAT / CX", "CX / BAT"]


def test_a_change_of_settings_replaces_the_folder_and_is_recorded(with_space, interpret):
    interpret("attribute")
    assert interpret("attribute", "--set", "attribution.score=signed").exit_code == 0
    record = json.loads((with_space.root / "interpret" / "attribution" / "provenance.json").read_text())
    assert record["settings"]["attribution"]["score"] == "signed"
    assert record["parents"]["clusters"] == "s"
    assert "g2m-interpret" in record["versions"]
    assert [path.name for path in (with_space.root / "interpret").iterdir()] == ["attribution"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "CX:Bat"], "no cluster 'Bat'; there are: BAT, CX"),
        (["--pairs", "CX-BAT"], "expected QUERY:REFERENCE"),
        (["--pairs", "CX:CX"], "two different clusters"),
        (["--clusters", "leiden"], "expected region, joint, samplewise"),
        (["--clusters", "region"], "true regions are known of a phantom only"),
        (["--set", "attribution.tolerance=0"], "must be positive"),
    ],
)
def test_mistakes_are_one_line(with_space, interpret, arguments, message):
    found = interpret("attribute", *arguments)
    assert is_user_error(found.exception)
    assert message in str(found.exception)
    assert "\n" not in str(found.exception)
    assert not (with_space.root / "interpret").exists()


def test_clusters_that_are_not_there_or_of_other_embeddings(study, interpret, request):
    assert "run `g2m eval space" in str(interpret("attribute").exception)
    request.getfixturevalue("with_space")
    path = study.root / "space" / "space.h5ad"
    clusters = anndata.read_h5ad(path)
    clusters.uns["provenance"]["parents"]["embeddings"] = "older"
    clusters.write_h5ad(path)
    assert "found in other embeddings than the study's" in str(interpret("attribute").exception)


def test_a_cluster_of_a_single_spot_is_said_to_have_no_halves():
    from g2m_cli.interpretation.attribution import _few

    labels = np.array(["a", "b", "b", "b", "b"])
    found = anndata.AnnData(np.zeros((2, 1)), obs=pd.DataFrame({"shared_by_halves": [np.nan, 0.2]}, index=["1", "2"]))
    warned = _few(labels, found)
    assert len(warned) == 2
    assert "In 1 of 2 pairs a cluster has a single spot" in warned[0]
    found.obs["shared_by_halves"] = [np.nan, np.nan]
    assert len(_few(labels, found)) == 1
    found.obs["shared_by_halves"] = [0.9, 0.9]
    assert _few(labels, found) == []


def test_a_pair_asked_for_twice_is_compared_once():
    from g2m_cli.interpretation.attribution import parse_pairs

    assert parse_pairs("CX:BAT, BAT:CX,CX:BAT") == [("CX", "BAT"), ("BAT", "CX")]
