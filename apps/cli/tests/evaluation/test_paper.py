"""The paper's page: every item under its number, published values as printed, ours where the study has them."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import zarr
from anndata import AnnData

from g2m_cli.errors import InputError
from g2m_cli.evaluation import paper as page
from g2m_cli.evaluation import paper_items, paper_quality, paper_terms
from g2m_cli.evaluation.paper_items import PaperStudy
from g2m_cli.interpretation.clusters import FoundClusters
from g2m_cli.settings import resolve
from g2m_cli.study import Study, dataset_id, folder_id
from g2m_eval import PRESETS, write_report
from g2m_eval.distances.protocol import TEST_SPOTS, DistanceProtocol
from g2m_eval.intervals import Interval
from g2m_eval.reader_study.score import ReaderScores
from g2m_eval.space.evaluate import SpaceEvaluation

NAMES = [f"s:{number}" for number in range(4)]
OFFLINE = tuple(item for item in page.ITEMS if item.number in ("Table 1", "Table 2", "Table 3", "Figure 2"))
"""Items that need neither scanpy nor a network: those have tests of their own."""


class Dataset:
    """Four test spots of one section."""

    manifest = {"study": "of four spots", "samples": {"s": {"split": "test", "patch_um": 55.0}}}  # noqa: RUF012
    obs = pd.DataFrame({"sample": pd.Categorical(["s"] * 4), "split": "test"}, index=NAMES)

    def patches(self, rows):
        return np.full((4, 16, 16, 3), 200, np.uint8)[rows]

    def truth(self):
        return pd.DataFrame({"region": list("aabb"), "purity": 1.0}, index=NAMES)

    def truth_factors(self):
        return None


def write_images(folder, number, images_of=("s:2", "s:0")):
    folder.mkdir(parents=True)
    images = zarr.create_array(folder / "images.zarr", shape=(2 * len(images_of), 8, 8, 3), dtype="uint8")
    images[:] = 120
    pd.DataFrame({"spot": np.repeat(images_of, 2), "seed": [0, 1] * len(images_of)}).to_parquet(
        folder / "index.parquet"
    )
    write_record(folder, number, model="m", embeddings=None)


def write_record(folder, number, **parents):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "provenance.json").write_text(json.dumps({"id": number, "parents": parents}))


def distances_of(count, *, inception=False, value=12.5):
    """One entry of ``models.<name>.distances``."""
    protocol = DistanceProtocol(
        extractor="Inception-v3" if inception else "net 3f",
        resolution=8,
        resize="none",
        n_generated=count,
        n_reference=4,
        reference=TEST_SPOTS,
        reference_hash="ab",
        seed=0,
        inception=inception,
    )
    shares = {key: {"value": 0.5, "low": 0.4, "high": 0.6} for key in ("precision", "recall", "density", "coverage")}
    return {
        "protocol": protocol.to_dict(),
        "frechet": {"value": value, "low": value - 1, "high": value + 1},
        "kernel": {"value": 0.14, "low": 0.1, "high": 0.2},
        "kernel_sd": 0.01,
        "kernel_subset_size": 100,
        **shares,
    }


def write_scores(folder, *, count=1717, **ids):
    """A study's report as far as Table 1 reads it; ``ids`` are of the images that were scored."""
    entry = {
        "resolution": 8,
        "distances": [distances_of(count)],
        "distances_real": [distances_of(count, value=1.5)],
    }
    write_report(
        folder,
        title="t",
        metrics={"models": dict.fromkeys(ids, entry)},
        provenance={"id": f"{folder.name} {count}", "parents": {f"generated/{name}": i for name, i in ids.items()}},
    )


@pytest.fixture
def paper(tmp_path, monkeypatch):
    monkeypatch.setattr("g2m_data.open_dataset", lambda *_, **__: Dataset())
    study = Study(tmp_path / "study")
    for run in ("gan", "sd"):
        write_record(study.run(run), "m")
    for name in ("gan", "sd-w1", "sd-w3"):
        for companion in ("", "-shuffled", "-figure"):
            write_images(study.generated(name + companion), f"{name}{companion}!")
    return PaperStudy(study, ("gan", "sd-w1", "sd-w3"), resolve(PRESETS, "tiny", seed=3))


def test_every_table_and_figure_is_there_once_under_its_number():
    assert [item.number for item in page.ITEMS] == [
        "Table 1",
        "Table 2",
        "Table 3",
        "Figure 2",
        "Figure 3",
        "Figure C.1",
        "Figure D.1",
        "Figure E.1",
        "Table F.1",
        "Table F.2",
        "Table F.3",
    ]
    assert len({item.name for item in page.ITEMS}) == len(page.ITEMS)


def test_page_of_a_study_holds_published_values_and_ours(paper):
    write_scores(paper.study.report, gan="gan!", **{"sd-w3": "sd-w3!"})
    written = page.write_paper(paper, items=OFFLINE)
    assert written == paper.study.root / "paper" / "report.html"
    html = written.read_text()
    for item in OFFLINE:
        assert f"<h2>{item.number}. {item.title}</h2>" in html
    assert "This study&#39;s tissue is invented" in html
    assert "g2m interpret" in html
    table = pd.read_csv(written.parent / "table1.csv").set_index("generator")
    assert list(table.index) == [
        "StyleGAN-G",
        "sd (w = 3)",
        "real training patches",
        "Stable Diffusion, w = 1 (paper)",
        "Stable Diffusion, w = 7 (paper)",
        "RNA-GAN (paper)",
        "MorphoDiff (paper)",
    ]
    ours = "A: Fréchet distance"
    assert table.loc["StyleGAN-G", ["published FID", ours]].tolist() == ["18.41", "12.5 (11.5 to 13.5)"]
    assert table.loc["sd (w = 3)", "published FID"] == "78.99"
    assert table.loc["real training patches", ours] == "1.5 (0.5 to 2.5)"
    assert np.isnan(table.loc["Stable Diffusion, w = 7 (paper)", ours])
    # ours is never under the published name
    assert [name for name in table.columns if "FID" in name or "KID" in name] == ["published FID", "published KID (SD)"]
    assert "Not comparable across" in html
    assert "drawn anew since: sd (w = 1)." in html
    metrics = json.loads((written.parent / "metrics.json").read_text())
    assert metrics["paper"]["table1"]["ours"]["gan"][0]["frechet"]["value"] == 12.5
    assert metrics["paper"]["table1"]["published"][0]["published FID"] == "18.41"
    assert metrics["paper"]["table3"]["published"][0]["term"] == "Lipid Droplet"
    assert "ours" not in metrics["paper"]["table3"]


@pytest.mark.parametrize(("count", "said"), [(400, "400 here and 36,528 there"), (36_528, "36,528, is the paper")])
def test_fid_of_inception_comes_first_and_says_what_it_shares_with_the_paper(paper, count, said):
    write_scores(paper.study.report, gan="gan!")
    write_images(paper.study.generated("gan-x4"), "four")
    images = paper.study.root / "images"
    write_record(images, "i", **{"generated/gan-x4": "four"})
    entry = {"resolution": 8, "distances": [distances_of(count, inception=True)], "distances_real": []}
    (images / "images.json").write_text(json.dumps({"models": {"gan": entry}}))
    item = page.ITEMS[0]
    built = item.build(paper, item)
    assert "A: FID" in built.tables[0].table
    assert said in built.text
    assert "same network and the same definitions" in built.text


def test_study_without_scores_shows_the_published_table_alone(paper):
    item = page.ITEMS[0]
    built = item.build(paper, item)
    assert "g2m eval images" in built.text
    assert list(built.tables[0].table) == ["generator", "published FID", "published KID (SD)", "published N"]
    assert "ours" not in built.metrics


def test_figure_2_shows_each_generator_once_at_the_strength_nearest_to_3(paper):
    page.write_paper(paper, items=OFFLINE)
    folder = paper.study.root / "paper"
    assert sorted(file.name for file in (folder / "figures").glob("*.svg")) == [
        "generated-gan.svg",
        "generated-sd-w3.svg",
    ]
    assert "<b>Figure 2a.</b>" in (folder / "report.html").read_text()
    assert "<b>Figure 2b.</b>" in (folder / "report.html").read_text()
    assert paper_items.at_published_strength(["gan", "tissue-w1", "tissue-w1.5", "sd-w7", "sd-w1"]) == [
        "gan",
        "tissue-w1.5",
        "sd-w1",
    ]


def test_scores_of_images_that_were_drawn_anew_are_not_shown(paper):
    write_scores(paper.study.report, gan="another!", **{"sd-w3": "sd-w3!"})
    assert list(paper_quality.scores_of(paper)) == ["sd-w3"]
    write_scores(paper.study.report, gan="gan!")
    assert list(paper_quality.scores_of(paper)) == ["gan"]
    write_record(paper.study.run("gan"), "trained again")
    assert paper_quality.scores_of(paper) == {}


def test_unchanged_page_is_kept_and_a_changed_study_makes_another(paper, capsys):
    written = page.write_paper(paper, items=OFFLINE)
    before = written.stat().st_mtime_ns
    page.write_paper(paper, items=OFFLINE)
    assert "unchanged, kept" in capsys.readouterr().err
    assert written.stat().st_mtime_ns == before
    write_scores(paper.study.report, gan="gan!")
    page.write_paper(paper, items=OFFLINE)
    assert "1,717 generated" in written.read_text()
    assert [path.name for path in paper.study.root.iterdir() if path.name.startswith(".")] == []


def test_table_2_joins_scores_of_readers(paper, monkeypatch):
    summary = pd.DataFrame(
        [("accuracy", 0.52, 0.05, 0.48, 0.56, 2), ("d_prime", 0.1, 0.2, -0.1, 0.3, 2)],
        columns=["measure", "mean", "sd", "low", "high", "readers"],
    )
    scores = ReaderScores(
        readers=pd.DataFrame({"reader": ["a", "b"], "answers": [20, 20]}),
        images=pd.DataFrame({"image": range(20)}),
        summary=summary,
        pooled=Interval(value=0.52, low=0.4, high=0.6),
        kappa=0.0,
        left_out={},
        model="gan",
    )
    monkeypatch.setattr("g2m_eval.reader_study.score.score_study", lambda *_, **__: scores)
    with_readers = replace(paper, reader_study=Path("readers"))
    page.write_paper(with_readers, items=OFFLINE)
    table = pd.read_csv(paper.study.root / "paper" / "table2.csv").set_index("measure")
    assert table.loc["accuracy", ["mean (SD)", "published"]].tolist() == ["0.520 (0.050)", "0.486 (0.095)"]
    assert table.loc["d′", "published"] == "–"
    assert "2 readers, 20 images, real and StyleGAN-G" in (paper.study.root / "paper/report.html").read_text()


def test_reader_study_that_is_none_is_one_line(paper, tmp_path):
    with pytest.raises((InputError, ValueError), match="nothing-here"):
        page.write_paper(replace(paper, reader_study=tmp_path / "nothing-here"), items=OFFLINE)
    assert not (paper.study.root / "paper").exists()


def test_the_papers_terms_stand_alone_until_ours_are_there(paper):
    built = item_of("Table F.2").build(paper, item_of("Table F.2"))
    assert "see Table 3" in built.text
    assert (len(built.tables[0].table), built.tables[0].number, built.tables[0].name) == (8, "Table F.2", "tableF_2")
    built = item_of("Table 3").build(paper, item_of("Table 3"))
    assert "Ours is missing: `g2m interpret attribute" in built.text
    assert len(built.tables) == 1


@pytest.mark.parametrize("stale", [{"encoders": "others"}, {"clusters": "found anew since"}])
def test_our_terms_stand_below_while_they_are_of_these_encoders_and_clusters(paper, stale, monkeypatch):
    monkeypatch.setattr(paper_terms, "read_clusters", lambda study: FoundClusters(id="of now", obs=None))
    root, item = paper.study.root / "interpret", item_of("Table 3")
    parents = {"dataset": dataset_id(paper.study.dataset), "encoders": folder_id(paper.study.run("encoders"))}
    asked = {"enrichment": {"significance": 0.05, "leading_genes": 3}, "gene_sets": "any.gmt"}
    for name, made_from in (("attribution", parents), ("enrichment", {"attribution": "attribution"})):
        (root / name).mkdir(parents=True)
        record = {"id": name, "settings": asked | {"clusters": "samplewise"}, "parents": made_from}
        (root / name / "provenance.json").write_text(json.dumps(record))
    term = {"sample": "visium1", "term": "Lipid Droplet", "nes": 1.5, "query": "BAT", "reference": "CX", "p": 0.0}
    pd.DataFrame([{**term, "leading": 9, "more": 1}]).to_csv(root / "enrichment" / "terms.csv", index=False)
    others = [
        term | {"sample": "visium2", "nes": -0.5, "p": 0.4},
        term | {"reference": "IM&P", "term": "GOCC_LIPID_DROPLET"},
    ]
    pd.DataFrame([term, *others]).to_csv(root / "enrichment" / "enrichment.csv", index=False)
    built = item.build(paper, item)
    assert "each section by itself" in built.text
    assert built.tables[0].table["ours"].tolist() == ["1.50 (p 0, visium1)", *["–"] * 5]
    assert built.tables[1].table[["term", "published"]].to_numpy().tolist() == [["Lipid Droplet", "–"]]
    assert built.metrics["ours"][0]["leading"] == 9
    assert "p < 0.05 and more than 3 leading genes" in built.tables[1].caption
    record = {"id": "attribution", "parents": parents | stale}
    (root / "attribution" / "provenance.json").write_text(json.dumps(record))
    assert len(item.build(paper, item).tables) == 1


def test_terms_are_matched_by_name_whichever_collection_spells_them():
    spelt = ["GOCC_LIPID_DROPLET", "Lipid Droplet (GO:0005811)", "Nucleus (GO:0005634)"]
    ours = pd.DataFrame({"term": spelt, "query": ["BAT", "BAT", "ISOM"], "reference": "IM&P"})
    found = paper_terms.beside_ours(ours)["published"].tolist()
    assert found == ["1.71 (sample 4)", "1.71 (sample 4)", "-1.69 (sample 3); -1.68 (sample 5)"]
    assert paper_terms.beside_ours(ours.assign(query="CX"))["published"].tolist() == ["–"] * 3


def test_folder_with_something_else_is_refused_before_any_work(paper, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years")
    untouchable = replace(page.ITEMS[0], build=lambda *_: pytest.fail("work began"))
    with pytest.raises(ValueError, match="holds other files"):
        page.write_paper(paper, out=tmp_path / "thesis", items=[untouchable])


def item_of(number):
    return next(item for item in page.ITEMS if item.number == number)


def test_figure_c1_shows_sections_then_generators_and_the_measured_shift(paper):
    built = item_of("Figure C.1").build(paper, item_of("Figure C.1"))
    labels = [axes.get_ylabel() for axes in built.figures[0].figure.axes if axes.get_ylabel()]
    assert labels == [
        "s\ntraining",
        "s\ntest",
        "generated,\nStyleGAN-G",
        "generated,\nsd (w = 1)",
        "generated,\nsd (w = 3)",
    ]
    assert "g2m eval report" in built.text
    write_report(
        paper.study.report,
        title="t",
        metrics={"models": {"gan": {"stain": {"position": {"value": 0.83, "low": 0.7, "high": 0.9}}}}},
        provenance={"id": "r", "parents": {"generated/gan": "gan!"}},
    )
    assert "StyleGAN-G at 0.83 (0.70 to 0.90)." in item_of("Figure C.1").build(paper, item_of("Figure C.1")).text


def test_figure_e1_puts_the_published_indices_beside_ours(paper):
    obs = pd.DataFrame(
        {
            "sample": ["s", "s", "t", "t"],
            "split": "test",
            "cluster_samplewise": ["CX", "BAT"] * 2,
            "cluster_joint": ["CX", "BAT"] * 2,
            "cluster_expression": ["1", "2"] * 2,
        },
        index=NAMES,
    )
    layout = np.arange(8, dtype=np.float32).reshape(4, 2)
    adata = AnnData(layout, obs=obs, obsm={"X_umap": layout, "X_umap_expression": layout[::-1]})
    metrics = {
        "spots": 4,
        "wanted": 2,
        "ari_joint_vs_samplewise": 0.9,
        "ari_joint_vs_samplewise_pooled": 0.8,
        "ari_joint_vs_sample": 0.01,
        "ari_expression_vs_sample": 0.7,
        "ari_region_vs_sample": 0.02,
    }
    evaluation = SpaceEvaluation(
        adata=adata, metrics=metrics, order=("CX", "BAT"), clusters=pd.DataFrame(), warnings=()
    )
    vars(paper)["space"] = SimpleNamespace(evaluation=evaluation, images=None)
    built = item_of("Figure E.1").build(paper, item_of("Figure E.1"))
    table = built.tables[0].table
    assert table["published"].dropna().tolist() == [0.79, 0.79, 0.005, 0.588]
    assert table["ours"].tolist() == [0.9, 0.8, 0.01, 0.7, 0.02]
    assert "does not say whether its 0.79" in built.text
    assert built.figures[0].number == "Figure E.1"
    assert "agree with it by 0.020" in built.text
    assert "too few patches" in item_of("Figure D.1").build(paper, item_of("Figure D.1")).text
