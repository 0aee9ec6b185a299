"""`g2m interpret enrich`: all tests, the paper's filter, whose gene sets, and mistakes in one line."""

import json

import pandas as pd
import pytest

from g2m_cli.errors import is_user_error

GENES = [f"Gene{number}" for number in range(20)]


@pytest.fixture
def attributed(with_truth, interpret):
    assert interpret("attribute").exit_code == 0
    return with_truth


def test_a_phantom_s_own_sets_by_default(attributed, interpret):
    found = interpret("enrich")
    assert found.exit_code == 0, found.output
    folder = attributed.root / "interpret" / "enrichment"
    every = pd.read_csv(folder / "enrichment.csv")
    first = every[every["query"] == "CX"].iloc[0]
    assert first["term"] == "PHANTOM_REGION_CX"
    metrics = json.loads((folder / "metrics.json").read_text())["enrichment"]
    assert metrics["true_set_in_top5"] == 1
    assert metrics["tests"] == len(every)
    terms = pd.read_csv(folder / "terms.csv")
    assert ((terms["p"] < 0.02) & (terms["leading"] > 4)).all()
    assert metrics["significant"] == len(terms)
    assert (folder / "figures" / "nes-2-sections.png").is_file()
    record = json.loads((folder / "provenance.json").read_text())
    own = json.loads((attributed.root / "interpret" / "attribution" / "provenance.json").read_text())
    assert record["parents"] == {"attribution": own["id"]}


def test_the_manifest_s_file_rather_than_a_phantom_s(attributed, interpret, write_gmt):
    folder = attributed.dataset / "gene_sets"
    folder.mkdir()
    write_gmt(folder / "go.cc.gmt", {"CORTEX": GENES[:10], "FAT": GENES[10:]})
    assert interpret("enrich").exit_code == 0
    every = pd.read_csv(attributed.root / "interpret" / "enrichment" / "enrichment.csv")
    assert set(every["term"]) == {"CORTEX", "FAT"}


def test_human_sets_need_upper_case_and_options_win(attributed, interpret, write_gmt, tmp_path):
    upper = [gene.upper() for gene in GENES]
    write_gmt(tmp_path / "human.gmt", {"GOCC_CORTEX": upper[:10], "GOCC_FAT": upper[10:], "OTHER": ["X", "Y"]})
    wrong = interpret("enrich", "--gene-sets", tmp_path / "human.gmt")
    assert "match in upper case" in str(wrong.exception)
    right = interpret("enrich", "--gene-sets", tmp_path / "human.gmt", "--case", "upper", "--top", "12")
    assert right.exit_code == 0, right.output
    assert "20 of 22 symbols of human.gmt are in the panel (case upper); 1 sets have fewer than 1" in right.stderr
    assert "Of a pair 1 to 1 were tested, those with 1 to 500 of its ranked genes" in right.stderr
    metrics = json.loads((attributed.root / "interpret" / "enrichment" / "metrics.json").read_text())["enrichment"]
    assert "true_set_in_top5" not in metrics
    every = pd.read_csv(attributed.root / "interpret" / "enrichment" / "enrichment.csv")
    assert set(every["ranked_genes"]) == {12}


def test_sections_keep_their_names(with_space, interpret, write_gmt, tmp_path):
    write_gmt(tmp_path / "sets.gmt", {"CORTEX": GENES[:10], "FAT": GENES[10:20]})
    assert interpret("attribute", "--clusters", "samplewise").exit_code == 0
    found = interpret("enrich", "--gene-sets", tmp_path / "sets.gmt")
    assert found.exit_code == 0, found.output
    every = pd.read_csv(with_space.root / "interpret" / "enrichment" / "enrichment.csv")
    assert set(map(tuple, every[["sample", "query"]].to_numpy())) == {
        ("A", "CX"), ("A", "BAT"), ("B", "CX"), ("B", "ISOM"),
    }  # fmt: skip


def test_mistakes_are_one_line(with_space, interpret, tmp_path):
    assert "`g2m interpret attribute" in str(interpret("enrich").exception)
    assert interpret("attribute").exit_code == 0
    assert "give --gene-sets FILE.gmt" in str(interpret("enrich").exception)
    absent = interpret("enrich", "--gene-sets", tmp_path / "absent.gmt")
    assert "not a readable GMT file" in str(absent.exception)
    (with_space.root / "interpret" / "attribution" / "attributions.h5ad").write_bytes(b"cut short")
    assert "not a readable .h5ad file" in str(interpret("enrich").exception)
    assert not (with_space.root / "interpret" / "enrichment").exists()


def test_attributions_of_other_encoders_are_refused_unless_named(attributed, interpret):
    folder = attributed.root / "interpret" / "attribution"
    for place, key in ((folder, None), (attributed.run("encoders"), "id")):
        place.mkdir(parents=True, exist_ok=True)
        file = place / "provenance.json"
        record = json.loads(file.read_text()) if file.is_file() else {"parents": {}}
        record |= {"id": "new"} if key else {"parents": record["parents"] | {"encoders": "old"}}
        file.write_text(json.dumps(record))
    found = interpret("enrich")
    assert is_user_error(found.exception)
    assert "was made from other encoders than the study has now; `g2m interpret attribute" in str(found.exception)
    assert interpret("enrich", "--attributions", folder).exit_code == 0


def test_a_region_s_own_set_that_met_no_ranked_gene_is_a_miss(attributed, interpret, write_gmt, tmp_path):
    own = {"PHANTOM_REGION_CX": GENES[:10], "PHANTOM_REGION_fat AND glands": ["Gene38", "Gene39"]}
    write_gmt(tmp_path / "sets.gmt", own)
    assert interpret("enrich", "--gene-sets", tmp_path / "sets.gmt", "--top", "12").exit_code != 0
    write_gmt(tmp_path / "sets.gmt", own | {"FAT": GENES[10:]})
    found = interpret("enrich", "--gene-sets", tmp_path / "sets.gmt", "--top", "12")
    assert found.exit_code == 0, found.output
    metrics = json.loads((attributed.root / "interpret" / "enrichment" / "metrics.json").read_text())["enrichment"]
    assert metrics["true_set_in_top5"] == 0.5


def test_a_folder_of_attributions_is_not_replaced_by_enrichment(attributed, interpret):
    folder = attributed.root / "interpret" / "attribution"
    assert "report of another kind" in str(interpret("enrich", "--out", folder).exception)
    assert (folder / "attributions.h5ad").is_file()
