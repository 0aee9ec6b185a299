"""A study of two kinds of tissue with an expression encoder, small enough that a command takes a moment."""

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from g2m_cli.main import app
from g2m_cli.study import Study

GENES = [f"Gene{number}" for number in range(40)]


class Sections:
    """A paired dataset whose first ten genes are the cortex's and whose next ten are the fat's."""

    manifest = {"study": "invented", "samples": {name: {"patch_um": 16.0} for name in "ABT"}}  # noqa: RUF012
    genes = GENES

    def __init__(self, samples, split, *, truth):
        generator = np.random.default_rng(5)
        self.samples = list(samples)
        self.region = np.tile(np.repeat(["CX", "fat & glands"], 12), len(samples))
        rate = np.full((len(self.region), 40), 3.0)
        rate[self.region == "CX", :10] = rate[self.region != "CX", 10:20] = 12
        self.values = np.log1p(generator.poisson(rate)).astype(np.float32)
        sample = np.repeat(samples, 24)
        names = [f"{name}:{place % 24}" for place, name in enumerate(sample)]
        self.obs = pd.DataFrame({"sample": pd.Categorical(sample), "split": split}, index=names)
        self.known = truth

    def __len__(self):
        return len(self.obs)

    def expression(self, rows):
        return self.values[rows]

    def patches(self, rows):
        return np.full((len(rows), 16, 16, 3), 220, np.uint8)

    def truth(self):
        if not self.known:
            return None
        purity = np.where(np.arange(len(self)) % 12 == 0, 0.5, 1.0)
        return pd.DataFrame({"region": self.region, "purity": purity, "lumen": 0.0}, index=self.obs.index)


class Encoders(torch.nn.Module):
    """As much of ContrastiveModel as is asked for; its panel is in another order than the dataset's."""

    genes = GENES[::-1]
    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.expression = torch.nn.Sequential(torch.nn.Linear(40, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))

    def embed_expression(self, expression):
        return self.expression(expression)

    def align(self, genes):
        from g2m_encoders.alignment import align_genes

        return align_genes(self.genes, genes)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study without truth and without space/; ``with_truth`` and ``with_space`` add them."""
    study = Study(tmp_path / "study")
    study.dataset.mkdir(parents=True)
    embeddings = anndata.AnnData(np.zeros((1, 4), np.float32))
    embeddings.uns["provenance"] = {"id": "e"}
    embeddings.write_h5ad(study.embeddings)
    open_sections(monkeypatch, truth=False)
    monkeypatch.setattr("g2m_encoders.ContrastiveModel.from_pretrained", lambda folder, **_: Encoders())
    return study


@pytest.fixture
def with_truth(study, monkeypatch):
    open_sections(monkeypatch, truth=True)
    folder = study.dataset / "truth"
    folder.mkdir()
    means = pd.DataFrame({"gene": GENES, "mean_CX": 3.0, "mean_fat & glands": 3.0, "factor": None, "effect": 0})
    means.loc[:9, "mean_CX"] = means.loc[10:19, "mean_fat & glands"] = 12
    means.to_csv(folder / "genes.csv", index=False)
    pd.DataFrame({"factor": ["lumen"], "regions": "CX", "statistic": "share", "sign": 1}).to_csv(folder / "factors.csv")
    own = {"PHANTOM_REGION_CX": GENES[:10], "PHANTOM_REGION_fat AND glands": GENES[10:20], "ELSE": GENES[20:32]}
    write_sets(folder / "gene_sets.gmt", own)
    return study


@pytest.fixture
def with_space(study):
    """Clusters as `g2m eval space` leaves them: jointly by region, in section B without the second one."""
    sections = Sections(["A", "B"], "test", truth=False)
    obs = sections.obs.astype(str)
    obs["cluster_joint"] = pd.Categorical(np.where(sections.region == "CX", "CX", "BAT"))
    alone = np.where((obs["sample"] == "B") & (sections.region != "CX"), "ISOM", obs["cluster_joint"])
    obs["cluster_samplewise"] = pd.Categorical(alone)
    training = obs.iloc[:2].set_axis(["t:0", "t:1"])
    folder = study.root / "space"
    folder.mkdir()
    rows = pd.concat([training, obs]).sample(frac=1, random_state=0)
    rows.loc[training.index, "cluster_joint"] = np.nan
    write_clusters(folder / "space.h5ad", rows)
    return study


def open_sections(monkeypatch, *, truth):
    def open_dataset(folder, split=None, samples=None):
        return Sections(samples or {"test": ["A", "B"], "train": ["T"]}[split], split, truth=truth)

    monkeypatch.setattr("g2m_data.open_dataset", open_dataset)


def write_clusters(path, obs, embeddings="e"):
    clusters = anndata.AnnData(np.zeros((len(obs), 4), np.float32), obs=obs)
    clusters.uns["provenance"] = {"id": "s", "parents": {"embeddings": embeddings}}
    clusters.write_h5ad(path)


def write_sets(path, sets):
    path.write_text("".join(f"{name}\tinvented\t{chr(9).join(genes)}\n" for name, genes in sets.items()))


@pytest.fixture
def interpret(study):
    """Run `g2m interpret COMMAND STUDY …`."""

    def run(command, *arguments):
        return CliRunner().invoke(app, ["interpret", command, str(study.root), *map(str, arguments)])

    return run


@pytest.fixture
def write_gmt():
    """Write gene sets to a file."""
    return write_sets
