"""`g2m interpret perturb`: which spots and genes, what is drawn and written, and mistakes in one line."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from g2m_cli.errors import is_user_error
from g2m_cli.interpretation import redrawing
from g2m_cli.interpretation.perturbation_request import PerturbationRequest, chosen_spots, parse_folds


class Painter:
    """Paints white rows whose number follows the first coordinate of the condition, on pink with the key's noise."""

    condition_dim, resolution = 4, 16

    def draw(self, conditions, keys, request):
        images = []
        for condition, key in zip(conditions, keys, strict=True):
            image = np.full((16, 16, 3), (200, 120, 180), np.uint8)
            image += np.random.default_rng(key).integers(0, 20, size=(16, 16, 1), dtype=np.uint8)
            image[: max(0, round(8 + 20 * float(condition[0])))] = 255
            images.append(image)
        return np.stack(images)


@pytest.fixture
def painted(with_truth, monkeypatch):
    """The phantom study with a generator, and encoders whose first coordinate is the mean of the cortex's genes."""
    import torch

    from g2m_encoders import ContrastiveModel

    encoders = ContrastiveModel.from_pretrained("")
    encoders.settings = SimpleNamespace(embedding_dim=4)
    weight = torch.zeros(4, 40)
    weight[0, [encoders.genes.index(f"Gene{number}") for number in range(10)]] = 0.01
    encoders.expression = torch.nn.Linear(40, 4, bias=False)
    encoders.expression.weight = torch.nn.Parameter(weight)
    monkeypatch.setattr("g2m_encoders.ContrastiveModel.from_pretrained", lambda folder, **_: encoders)
    monkeypatch.setattr("g2m_cli.generators.open_generator", lambda folder: Painter())
    (with_truth.run("gan") / "model").mkdir(parents=True)
    return with_truth


BRIEF = ["--seeds", "2", "--limit", "5", "--set", "perturbation.resamples=50"]


def test_a_knockout_is_measured_and_held_against_random_genes(painted, interpret):
    genes = ",".join(f"Gene{number}" for number in range(5))
    found = interpret("perturb", "--genes", genes, "--knockout", "--spots", "region=CX", "--random-sets", "4", *BRIEF)
    assert found.exit_code == 0, found.output
    (folder,) = (painted.root / "interpret" / "perturbations").iterdir()
    assert re.fullmatch(r"Gene0-Gene1-Gene2-and-2-more-[0-9a-f]{6}-knockout-region-CX-gan", folder.name)
    changes = pd.read_csv(folder / "changes.csv").set_index("statistic")
    lumen = changes.loc["lumen_share"]
    assert lumen["change"] < 0  # fewer white rows where the cortex's genes are gone
    assert lumen["high"] < 0
    assert lumen["beyond_random"] == 1  # other genes paint nothing but for those five of the cortex that are left
    assert (changes["random_sets"] == 4).all()
    assert (folder / "figures" / "strip.png").is_file()
    record = json.loads((folder / "provenance.json").read_text())
    assert record["settings"]["where"] == {"region": "CX"}
    assert record["settings"]["perturbation"]["seeds"] == 2
    assert "5 genes" in (folder / "report.html").read_text()


def test_doses_of_a_set_move_what_it_paints_monotonically(painted, interpret):
    found = interpret(
        "perturb", "--gene-set", "PHANTOM_REGION_CX", "--doses", "--renormalise", "--random-sets", "2", *BRIEF
    )
    assert found.exit_code == 0, found.output
    (folder,) = (painted.root / "interpret" / "perturbations").iterdir()
    response = pd.read_csv(folder / "responses.csv").set_index("statistic").loc["lumen_share"]
    assert response["spearman"] > 0.9
    assert response["change"] > 0
    assert sorted(set(pd.read_csv(folder / "doses.csv")["dose"]))[0] == 0.25
    assert set(pd.read_csv(folder / "changes.csv")["edit"]) == {"x 0.25", "x 4"}
    assert (folder / "figures" / "doses.svg").is_file()


def test_an_edit_beyond_anything_in_training_and_a_silent_gene_are_warned_of(painted, interpret, monkeypatch):
    from g2m_data import open_dataset

    monkeypatch.setattr(redrawing, "_COMPONENTS", 4)  # of 24 training profiles

    def without_last_gene(*arguments, **options):
        dataset = open_dataset(*arguments, **options)
        dataset.values[:, 39] = 0
        return dataset

    monkeypatch.setattr("g2m_data.open_dataset", without_last_gene)
    found = interpret("perturb", "--genes", "Gene30,Gene39", "--fold", "50", "--random-sets", "0", *BRIEF)
    assert found.exit_code == 0, found.output
    assert "x 50: 100% of the edited profiles are unlike any in training" in found.stderr
    assert "no fold changes it: Gene39" in found.stderr


def test_spots_are_those_of_which_all_holds(with_truth, with_space):
    from g2m_data import open_dataset

    spots = open_dataset("", split="test")
    where = {"region": "CX", "joint": "CX", "sample": "B"}
    rows = chosen_spots(with_truth, spots, where, limit=4, seed=0)
    assert len(rows) == 4
    assert (spots.region[rows] == "CX").all()
    assert set(spots.obs["sample"].iloc[rows]) == {"B"}
    np.testing.assert_array_equal(rows, chosen_spots(with_truth, spots, where, limit=4, seed=0))
    assert not np.array_equal(rows, chosen_spots(with_truth, spots, where, limit=4, seed=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genes", "gene1", "--knockout"], "gene1 is not in the panel of 40 genes; did you mean Gene1?"),
        (["--genes", "Gene1"], "give one of --knockout, --fold and --doses"),
        (["--knockout"], "give either --genes or --gene-set"),
        (["--gene-set", "NONE", "--knockout"], "no set 'NONE' among its 3"),
        (["--genes", "Gene1", "--knockout", "--model", "sd"], "no generator of this name; there are: gan"),
        (["--genes", "Gene1", "--knockout", "--spots", "region=BAT"], "no region 'BAT'; there are: CX, fat & glands"),
        (
            ["--genes", "Gene1", "--knockout", "--spots", "cluster=CX"],
            "expected region=, joint=, samplewise= or",
        ),
        (["--genes", "Gene1", "--knockout", "--spots", "joint=CX"], "run `g2m eval space"),
    ],
)
def test_mistakes_are_one_line(painted, interpret, arguments, message):
    found = interpret("perturb", *arguments)
    assert is_user_error(found.exception)
    assert message in str(found.exception)
    assert "\n" not in str(found.exception)
    assert not (painted.root / "interpret").exists()


@pytest.mark.parametrize("text", ["", "a", "0", "1", "-2", "2,2", "nan", "inf"])
def test_folds_that_are_none(text):
    with pytest.raises(ValueError, match="--fold"):
        parse_folds(text)


def test_requests_whose_label_reads_alike_have_folders_of_their_own():
    def name(*genes, label):
        return PerturbationRequest(model="gan", genes=genes, label=label, folds=(0.0,), where={}).name

    assert name("A", "B", label="A, B") == "A-B-knockout-gan"
    assert name(*"ABCD", label="A, B, C and 1 more") != name(*"ABCE", label="A, B, C and 1 more")
    assert name(*"ABCD", label="A, B, C and 1 more") == name(*"ABDC", label="A, B, C and 1 more")
    assert name("A", "B", label="SET") != name("A", "C", label="SET")
