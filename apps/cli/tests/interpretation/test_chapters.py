"""What the report of a study shows of genes, and what it says of what has not been asked."""

import json

import pandas as pd
import pytest

from g2m_cli.artefacts import Artefacts
from g2m_cli.errors import InputError
from g2m_cli.interpretation.chapters import interpretation_chapters, interpretation_folders
from g2m_cli.interpretation.factors import fault_of, obeys, spread_rows
from g2m_cli.interpretation.knockout import knockout_request
from g2m_cli.stages.interpretation import InterpretationStages
from g2m_cli.study_settings import resolve_study


@pytest.fixture
def stages(study):
    return InterpretationStages(study, resolve_study("tiny", seed=0), Artefacts(study.root))


def test_what_was_not_asked_is_told_with_the_way_to_ask(study):
    found = interpretation_chapters(study)
    texts = [section.text for section in found.sections]
    assert "g2m interpret attribute" in texts[0]
    assert "The study names no gene sets" in texts[1]
    assert "gene_sets in [study]" in texts[1]
    assert "g2m interpret perturb" in texts[2]
    assert (found.metrics, found.tiles, found.warnings) == ({}, [], [])


def test_genes_and_sets_are_read_from_what_the_commands_wrote(with_truth, interpret):
    assert interpret("attribute").exit_code == 0
    assert interpret("enrich").exit_code == 0
    found = interpretation_chapters(with_truth)
    genes, sets, _ = found.sections
    assert genes.tables[0].table["top_genes"].str.startswith("Gene").all()
    assert "driver_auroc" in genes.tables[0].table
    assert [figure.name for figure in genes.figures] == ["genes-2-sections-CX", "genes-2-sections-fat-and-glands"]
    assert sets.tables[0].table.groupby(["query", "reference"]).size().max() <= 3
    assert found.metrics["enrichment"]["true_set_in_top5"] == 1
    assert found.metrics["attribution"]["driver_auroc_min"] > 0.9
    assert len(found.tiles) == 1


def test_what_was_made_from_other_models_is_left_out_and_told(with_truth, interpret, capsys):
    assert interpret("attribute").exit_code == 0
    assert set(interpretation_folders(with_truth)) == {"attribution"}
    run = with_truth.run("encoders")
    run.mkdir(parents=True)
    (run / "provenance.json").write_text(json.dumps({"id": "trained again"}))
    assert interpretation_folders(with_truth) == {}
    interpretation_chapters(with_truth)
    assert "left out of the report" in capsys.readouterr().err


def test_what_compares_other_clusters_than_the_report_shows_is_left_out(with_space, interpret):
    assert interpret("attribute").exit_code == 0
    made = json.loads((with_space.root / "interpret" / "attribution" / "provenance.json").read_text())
    assert set(interpretation_folders(with_space, made["parents"]["clusters"])) == {"attribution"}
    assert interpretation_folders(with_space, "found with other settings") == {}


def test_sets_that_have_changed_since_are_left_out_but_not_those_of_a_file_given_by_hand(
    with_truth, interpret, write_gmt, tmp_path
):
    own = with_truth.dataset / "truth" / "gene_sets.gmt"
    given = tmp_path / "given.gmt"
    given.write_bytes(own.read_bytes())
    assert interpret("attribute").exit_code == 0
    assert interpret("enrich").exit_code == 0
    assert set(interpretation_folders(with_truth)) == {"attribution", "enrichment"}
    write_gmt(own, {"OTHER": [f"Gene{number}" for number in range(12)]})
    assert set(interpretation_folders(with_truth)) == {"attribution"}
    assert interpret("enrich", "--gene-sets", str(given)).exit_code == 0
    assert set(interpretation_folders(with_truth)) == {"attribution", "enrichment"}


def test_a_study_without_gene_sets_leaves_enrichment_out(stages, capsys):
    stages.check_gene_sets()
    stages.enrich()
    assert "the manifest names no gene sets" in capsys.readouterr().err
    assert not (stages.study.root / "interpret").exists()


def test_a_study_of_one_cluster_gets_its_report_without_genes(stages, with_truth, monkeypatch, capsys):
    truth = pd.DataFrame({"region": "CX", "purity": 1.0}, index=[f"{s}:{n}" for s in "AB" for n in range(24)])
    from g2m_data import open_dataset

    monkeypatch.setattr(type(open_dataset(with_truth.dataset, split="test")), "truth", lambda self: truth)
    stages.attribute()
    stages.enrich()
    told = capsys.readouterr().err
    assert "attribution: left out, no two clusters to compare" in told
    assert "enrichment: left out, for there is no attribution" in told
    genes, sets, redrawn = interpretation_chapters(with_truth).sections
    assert "Left out of this run: no two clusters" in genes.text
    assert "Left out of this run: for there is no attribution" in sets.text
    assert "g2m interpret perturb" in redrawn.text


def test_a_pair_without_any_set_leaves_enrichment_out(with_truth, write_gmt, capsys):
    write_gmt(with_truth.dataset / "truth" / "gene_sets.gmt", {"ONE": ["Gene39"]})
    settings = resolve_study("tiny", seed=0, overrides=["interpret.enrichment.top_genes=2"])
    stages = InterpretationStages(with_truth, settings, Artefacts(with_truth.root))
    stages.attribute()
    stages.enrich()
    assert "enrichment: left out, 2 ranked genes and no set" in capsys.readouterr().err
    assert "Left out of this run: 2 ranked genes" in interpretation_chapters(with_truth).sections[1].text


def test_gene_sets_that_do_not_meet_the_panel_stop_a_run(stages, write_gmt):
    folder = stages.study.dataset / "gene_sets"
    folder.mkdir()
    write_gmt(folder / "human.gmt", {"CORTEX": ["GENE1", "GENE2"]})
    with pytest.raises(InputError, match=r"human.gmt: .*interpret.enrichment.case"):
        stages.check_gene_sets()


def test_a_real_study_loses_the_genes_by_which_its_largest_cluster_is_known(with_space, interpret):
    assert interpret("attribute").exit_code == 0
    request = knockout_request(with_space, model="gan", limit=5)
    genes = pd.read_csv(with_space.root / "interpret" / "attribution" / "genes.csv")
    sizes = json.loads((with_space.root / "interpret" / "attribution" / "metrics.json").read_text())
    largest = max(sorted(sizes["attribution"]["clusters"]), key=sizes["attribution"]["clusters"].get)
    own = genes[genes["query"] == largest]
    assert request.where == {"joint": largest}
    assert set(request.genes) <= set(own.loc[own["score"] > 0, "gene"])
    assert 0 < len(request.genes) <= 20
    assert request.folds == (0.0,)
    assert (
        request.attribution
        == json.loads((with_space.root / "interpret" / "attribution" / "provenance.json").read_text())["id"]
    )


def test_paper_presets_compare_each_sections_own_clusters(with_space, interpret):
    assert interpret("attribute", "--preset", "paper", "--set", "attribution.tolerance=0.1").exit_code == 0
    folder = with_space.root / "interpret" / "attribution"
    pairs = pd.read_csv(folder / "pairs.csv")
    assert set(zip(pairs["sample"], pairs["query"], strict=True)) == {
        ("A", "CX"), ("A", "BAT"), ("B", "CX"), ("B", "ISOM"),
    }  # fmt: skip
    sizes = json.loads((folder / "metrics.json").read_text())["attribution"]["clusters_of_sections"]
    assert sizes == {"A": {"BAT": 12, "CX": 12}, "B": {"CX": 12, "ISOM": 12}}
    request = knockout_request(with_space, model="gan", limit=5)
    assert request.where == {"samplewise": "BAT", "sample": "A"}
    assert "tell BAT from CX best" in request.label
    genes, *_ = interpretation_chapters(with_space).sections
    assert list(genes.tables[0].table["sample"].unique()) == ["A", "B"]


def test_spots_are_shared_out_evenly_among_regions():
    labels = pd.Series(["a"] * 50 + ["b"] * 3 + ["c"] * 9 + [""] * 9).to_numpy().astype(str)
    rows = spread_rows(labels, ["a", "b"], 8, seed=0)
    assert pd.Series(labels[rows]).value_counts().to_dict() == {"a": 5, "b": 3}
    assert len(spread_rows(labels, ["d"], 8, seed=0)) == 0


@pytest.mark.parametrize(
    ("rho", "beyond", "sign", "change", "fault"),
    [
        (0.9, 1.0, 1, 2.0, None),
        (-0.9, 0.95, -1, -2.0, None),
        (-0.9, 1.0, 1, -2.0, "the wrong way"),
        (0.6, 1.0, 1, 2.0, "steadily"),
        (0.9, 0.9, 1, 2.0, "no further than other genes"),
        (0.9, None, 1, 2.0, "not compared"),
        (None, 1.0, 1, 0.0, "measurably"),
        (float("nan"), 1.0, 1, float("nan"), "measurably"),
    ],
)
def test_a_factor_obeys_if_it_goes_the_right_way_further_than_random_genes(rho, beyond, sign, change, fault):
    driven = {"dose_spearman": rho, "beyond_random": beyond, "sign": sign, "change": change}
    assert obeys(driven) is (fault is None)
    assert fault is None or fault in fault_of(driven)
