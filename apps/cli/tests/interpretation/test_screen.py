"""`g2m interpret screen` and `images`: what is ranked, redrawn and written, and mistakes in one line."""

import json
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from g2m_cli.errors import is_user_error


class Painter:
    """Paints as much white as the first coordinate of the condition says, with a gradient, over the key's noise."""

    condition_dim, resolution = 4, 16

    def trace(self, conditions, keys):
        noise = torch.stack([torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(int(key))) for key in keys])
        pink = torch.tensor([0.6, -0.1, 0.4])[None, :, None, None]
        white = torch.sigmoid(8 * (noise - 0.5) + 3 * conditions[:, 0][:, None, None, None])
        return pink + (1 - pink) * white

    def draw(self, conditions, keys, request):
        with torch.no_grad():
            images = self.trace(torch.from_numpy(conditions), torch.from_numpy(keys))
        return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture
def painted(with_truth, monkeypatch):
    """The phantom study with a generator whose white follows the cortex's genes, which are the lumen factor's."""
    from g2m_encoders import ContrastiveModel

    encoders = ContrastiveModel.from_pretrained("")
    encoders.settings = SimpleNamespace(embedding_dim=4)
    encoders.device = torch.device("cpu")
    weight = torch.zeros(4, 40)
    weight[0, [encoders.genes.index(f"Gene{number}") for number in range(10)]] = 0.02
    encoders.expression = torch.nn.Linear(40, 4, bias=False)
    encoders.expression.weight = torch.nn.Parameter(weight)

    def opened(folder, image=True):
        """As the real one: without its image side it embeds no image."""
        encoders.embed_image = (lambda images: images.mean(dim=(2, 3))) if image else None
        return encoders

    monkeypatch.setattr("g2m_encoders.ContrastiveModel.from_pretrained", opened)
    monkeypatch.setattr("g2m_cli.generators.open_generator", lambda folder: Painter())
    (with_truth.run("gan") / "model").mkdir(parents=True)
    truth = with_truth.dataset / "truth"
    genes = pd.read_csv(truth / "genes.csv")
    genes = genes.astype({"factor": object, "effect": float})
    genes.loc[:9, "factor"], genes.loc[:9, "effect"] = "lumen", 0.7
    genes.to_csv(truth / "genes.csv", index=False)
    factors = {"factor": ["lumen"], "regions": ["CX"], "statistic": ["lumen_share"], "sign": [1]}
    pd.DataFrame(factors).to_csv(truth / "factors.csv", index=False)
    return with_truth


BRIEF = ["--seeds", "2", "--limit", "5", "--spots", "region=CX"]
SCREEN = ["--statistic", "lumen_share", "--workers", "1", "--set", "perturbation.resamples=30", *BRIEF]


def written(painted, kind):
    (folder,) = (path for path in (painted.root / "interpret" / kind).iterdir() if not path.name.endswith("-verified"))
    return folder


def test_a_screen_finds_what_the_generator_paints(painted, interpret):
    found = interpret("screen", "--top", "12", "--random-sets", "4", *SCREEN)
    assert found.exit_code == 0, found.output
    folder = written(painted, "screens")
    table = pd.read_csv(folder / "screen.csv").set_index("gene")
    assert len(table) == 40
    own = table.loc[[f"Gene{number}" for number in range(10)]]
    assert (own["rank"] <= 10).all()
    assert (own["change"] < 0).all()
    assert (own["same_sign"] == 1).all()
    assert (own["beyond_random"] == 1).all()
    assert own["true_effect"].notna().all()
    metrics = json.loads((folder / "metrics.json").read_text())["screen"]
    assert metrics["verified"] == 12
    assert metrics["controls"] == 4
    assert metrics["controls_expression"] == pytest.approx(0.25, abs=0.05)  # no others are expressed as much
    assert "times the counts of the genes they are matched to" in found.stderr
    assert metrics["true_in_top20"] == 10
    assert metrics["factor_auroc"] == metrics["factor_same_sign"] == 1
    assert (folder / "figures" / "screen.png").is_file()
    assert (folder / "figures" / "strip.png").is_file()


def test_the_same_command_redraws_nothing_and_a_larger_top_adds(painted, interpret):
    arguments = ["screen", "--random-sets", "0", *SCREEN]
    assert interpret(*arguments, "--top", "3").exit_code == 0
    folder = written(painted, "screens")
    first = (folder / "screen.csv").read_bytes()
    assert json.loads((folder / "metrics.json").read_text())["screen"]["beyond_random"] is None
    assert "random genes" not in (folder / "report.html").read_text()
    again = interpret(*arguments, "--top", "3")
    assert "3 of 3 are verified already" in again.stderr
    assert (written(painted, "screens") / "screen.csv").read_bytes() == first
    assert "3 of 5 are verified already" in interpret(*arguments, "--top", "5").stderr


def test_a_cluster_that_is_found_anew_is_screened_anew(painted, with_space, interpret):
    arguments = ["screen", "--random-sets", "0", "--top", "2", *SCREEN[:-2], "--spots", "joint=CX", "--limit", "30"]
    assert interpret(*arguments).exit_code == 0
    space = anndata.read_h5ad(with_space.root / "space" / "space.h5ad")
    space.obs["cluster_joint"] = space.obs["cluster_joint"].cat.rename_categories({"CX": "BAT", "BAT": "CX"})
    space.uns["provenance"]["id"] = "found anew"
    space.write_h5ad(with_space.root / "space" / "space.h5ad")
    again = interpret(*arguments)
    assert again.exit_code == 0, again.output
    assert "verified already" not in again.stderr
    made = json.loads((written(painted, "screens") / "provenance.json").read_text())
    assert made["parents"]["clusters"] == "found anew"


def test_random_genes_stay_in_the_table_of_a_few_named_ones(painted, interpret, tmp_path):
    (tmp_path / "few.txt").write_text("Gene0\nGene1\nGene30\n")
    found = interpret("screen", "--genes-from", tmp_path / "few.txt", "--top", "3", "--random-sets", "2", *SCREEN)
    assert found.exit_code == 0, found.output
    table = pd.read_csv(written(painted, "screens") / "screen.csv")
    assert table["rank"].tolist()[:3] == [1, 2, 3]
    beside = table[~table["screened"]]
    assert len(beside) == 2
    assert beside["rank"].isna().all()
    assert beside[["predicted", "change"]].notna().all(axis=None)
    metrics = json.loads((written(painted, "screens") / "metrics.json").read_text())["screen"]
    assert (metrics["ranked"], metrics["verified"], metrics["controls"]) == (3, 3, 2)


def test_a_generator_of_other_embeddings_or_encoders_is_refused(painted, interpret):
    def made(name, **record):
        painted.run(name).mkdir(parents=True, exist_ok=True)
        (painted.run(name) / "provenance.json").write_text(json.dumps(record))

    def embeddings(encoders):
        found = anndata.read_h5ad(painted.embeddings)
        found.uns["provenance"] = {"id": "now", "parents": {"encoders": encoders}}
        found.write_h5ad(painted.embeddings)

    embeddings("these")
    made("encoders", id="these", parents={})
    made("gan", id="g", parents={"embeddings": "before"})
    stale = interpret("screen", *SCREEN)
    assert is_user_error(stale.exception)
    assert "runs/gan: was trained on other embeddings than" in str(stale.exception)
    embeddings("those")
    made("gan", id="g", parents={"embeddings": "now"})
    assert "embeddings.h5ad: is not of" in str(interpret("images", *BRIEF).exception)
    assert not (painted.root / "interpret").exists()


def test_sets_are_screened_against_random_sets_of_their_size(painted, interpret, write_gmt, tmp_path):
    sets = {"OWN": [f"Gene{n}" for n in range(6)], "OTHER": [f"Gene{n}" for n in range(20, 26)]}
    write_gmt(tmp_path / "sets.gmt", sets)
    found = interpret(
        "screen", "--gene-sets", tmp_path / "sets.gmt", "--top", "1", "--random-sets", "3", "--fold", "2", *SCREEN
    )
    assert found.exit_code == 0, found.output
    table = pd.read_csv(written(painted, "screens") / "screen.csv").set_index("set")
    assert table.loc["OWN", "rank"] == 1
    assert table.loc["OWN", "change"] > 0
    assert table.loc["OWN", "controls"] == 3
    assert np.isnan(table.loc["OTHER", "change"])


def test_images_are_attributed_to_the_genes_that_paint_them(painted, interpret):
    found = interpret("images", "--statistics", "lumen_share,eosin_density", *BRIEF)
    assert found.exit_code == 0, found.output
    folder = written(painted, "images")
    genes = pd.read_csv(folder / "genes.csv")
    first = genes[(genes["statistic"] == "lumen_share") & (genes["rank"] <= 10)]
    assert set(first["gene"]) == {f"Gene{number}" for number in range(10)}
    assert (first["change"] > 0).all()
    metrics = json.loads((folder / "metrics.json").read_text())["images"]
    assert metrics["lumen_share"]["factor_auroc"] == 1
    assert metrics["lumen_share"]["surrogate_agreement"] > 0.9
    assert "factor_auroc" not in metrics["eosin_density"]


def test_genes_that_paint_white_move_images_towards_a_whiter_region(painted, interpret, monkeypatch):
    from g2m_data import open_dataset

    def patches(self, rows):
        light = np.where(self.region[rows] == "CX", 120, 240).astype(np.uint8)
        return np.broadcast_to(light[:, None, None, None], (len(rows), 16, 16, 3)).copy()

    monkeypatch.setattr(type(open_dataset("", split="test")), "patches", patches)
    found = interpret("images", "--statistics", "lumen_share", "--towards", "region=fat & glands", *BRIEF)
    assert found.exit_code == 0, found.output
    genes = pd.read_csv(written(painted, "images") / "genes.csv")
    first = genes[(genes["statistic"] == "towards_fat-and-glands") & (genes["rank"] <= 10)]
    assert set(first["gene"]) == {f"Gene{number}" for number in range(10)}
    assert (first["change"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["screen", "--statistic", "lumen"], "no differentiable image statistic 'lumen'; there are: nuclei_per_mm2"),
        (["screen", "--knockout", "--fold", "2"], "give one of --knockout and --fold"),
        (["screen", "--fold", "1"], "expected a positive number other than 1"),
        (["screen", "--genes-from", "no.txt"], "--genes-from no.txt: expected all, or a text file"),
        (["screen", "--model", "sd"], "no generator of this name; there are: gan"),
        (["images", "--towards", "region=ISOM"], "--towards: no region 'ISOM'"),
        (["images", "--towards", "region=CX", "--spots", "region=CX"], "names the spots that --spots does"),
        (["images", "--towards", "region=CX", "--spots", "region=CX", "--limit", "4"], "names the spots that --spots"),
    ],
)
def test_mistakes_are_one_line(painted, interpret, arguments, message):
    found = interpret(arguments[0], *arguments[1:])
    assert is_user_error(found.exception)
    assert message in str(found.exception)
    assert "\n" not in str(found.exception)
    assert not (painted.root / "interpret").exists()


@pytest.mark.parametrize(
    ("agreement", "said"), [(0.9, []), (0.2, ["poorly here (Spearman 0.20)"]), (np.nan, ["unknown"])]
)
def test_an_agreement_that_is_poor_or_unknown_is_warned_of(agreement, said):
    from g2m_cli.interpretation.screen import _warnings
    from g2m_cli.interpretation.screen_request import ScreenRequest

    request = ScreenRequest(model="gan", statistic="lumen_share", where={}, top=1)
    metrics = {"surrogate_agreement": agreement, "interval_excludes_0": 1, "controls_expression": 1.9}
    found = _warnings(metrics, request)
    assert "have 0.1 times the counts" in _warnings(metrics | {"controls_expression": 0.1}, request)[0]
    assert len(found) == len(said)
    assert all(word in sentence for word, sentence in zip(said, found, strict=True))
