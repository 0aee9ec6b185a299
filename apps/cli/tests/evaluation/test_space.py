"""The embedding space of a study without images, of real sections, and its errors, as the command is given them."""

import json
from pathlib import Path
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from g2m_cli.errors import is_user_error
from g2m_cli.evaluation import space, space_images
from g2m_cli.evaluation.scoring import Judge
from g2m_cli.main import app
from g2m_cli.study import Study

GENES = ["UMOD", "a", "UCP1", "ERBB2", "b", "c"]


class Sections:
    """A paired dataset of two kinds of tissue, with odd symbols and no truth."""

    def __init__(self, split, names, per_kind=12):
        generator = np.random.default_rng(len(names))
        kind = np.tile(np.repeat([0, 1], per_kind), len(names))
        sample = np.repeat(names, 2 * per_kind)
        self.genes = GENES
        self.obs = pd.DataFrame(
            {"sample": pd.Categorical(sample), "split": split, "platform": "st"},
            index=[f"{name}:{place}" for place, name in enumerate(sample)],
        )
        self.values = (generator.random((len(kind), 6)) + 2 * np.eye(6)[kind * 2]).astype(np.float32)
        self.embedding = (self.values @ generator.normal(size=(6, 4))).astype(np.float32)
        self.corners = np.stack([np.arange(len(kind)), 2 * np.arange(len(kind))], axis=1).astype(np.int32)
        self.manifest = {"study": "invented"}

    def __len__(self):
        return len(self.obs)

    def expression(self, rows):
        return self.values[rows]

    def patches(self, rows):
        return np.zeros((len(np.arange(len(self))[rows]), 8, 8, 3), np.uint8)

    def slide(self, _):
        return np.full((60, 120, 3), 230, np.uint8)

    def truth(self):
        return None


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of the sections above, without a generator."""
    opened = {"train": Sections("train", ["C2", "C3"]), "test": Sections("test", ["C5", "C6"])}
    both = pd.concat([part.obs for part in opened.values()])
    points = np.concatenate([part.embedding for part in opened.values()])
    embeddings = anndata.AnnData(points, obs=both.astype(str))
    embeddings.uns.update({"null_embedding": np.zeros(4, np.float32), "provenance": {"id": "e"}})
    study = Study(tmp_path / "study")
    study.root.mkdir()
    embeddings.write_h5ad(study.embeddings)
    monkeypatch.setattr("g2m_data.open_dataset", lambda folder, split=None: opened[split])
    return study


def run(study, *arguments):
    return CliRunner().invoke(app, ["eval", "space", str(study.root), "--clusters", "2", *arguments])


def test_study_without_generator_and_truth_is_written_whole_and_replaced(study):
    assert run(study).exit_code == 0
    found = run(study, "--seed", "1", "--set", "space.training_pairs=30")
    assert found.exit_code == 0, found.output
    folder = study.root / "space"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["seed"] == metrics["clusters"]["seed"] == 1
    assert metrics["clusters"]["joint"]["number"] == 2
    assert (metrics["clusters"]["spots"], metrics["clusters"]["training_pairs"]) == (48, 30)
    assert "mixing" not in metrics["clusters"]
    assert "ari_region_vs_sample" not in metrics["clusters"]
    data = anndata.read_h5ad(folder / "space.h5ad")
    assert data.shape == (78, 4)
    assert set(data.obs["cluster_joint"].dropna()) == {"ISOM", "BAT"}
    assert "Figure D.1 is left out" in (folder / "report.html").read_text()
    assert [path.name for path in study.root.iterdir() if path.name.startswith(".")] == []


def test_markers_of_another_tissue_are_given_in_a_file(study, tmp_path):
    (tmp_path / "breast.toml").write_text('[[space.markers]]\nregion = "tumour"\ngenes = ["Erbb2", "UMOD"]\n')
    assert run(study, "--config", str(tmp_path / "breast.toml")).exit_code == 0
    names = set(anndata.read_h5ad(study.root / "space" / "space.h5ad").obs["cluster_joint"].dropna())
    assert names == {"tumour", "unnamed 1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clusters", "30"], "section C2: 24 spots cannot be 30 clusters"),
        (["--set", "space.cluster=3"], "did you mean space.clusters"),
        (["--models", "gan"], "no generated images here"),
        (["--set", "space.training_pairs=-1"], "space.training_pairs: expected a number from 0"),
    ],
)
def test_mistakes_are_one_line(study, arguments, message):
    found = run(study, *arguments)
    assert is_user_error(found.exception)
    assert message in str(found.exception)
    assert "\n" not in str(found.exception)
    assert not (study.root / "space").exists()


def test_spots_are_drawn_where_they_lie(study):
    spots = space.load_test_spots(Path("anything"))
    found = space.space_of_study(study, spots, None, [], space_settings(), seed=0)
    overlays = space.overlays_of(spots, found.evaluation)
    assert list(overlays) == ["C5", "C6"]
    np.testing.assert_array_equal(overlays["C5"].xy[:2], [[4, 4], [6, 5]])  # (x, y): the corner's column first
    assert not overlays["C5"].square
    own = found.evaluation.adata.obs.loc[spots.obs.index, "cluster_samplewise"].astype(str)
    assert overlays["C6"].labels == own[spots.samples == "C6"].tolist()


def write_images(study, name, count, noises=1):
    import zarr

    folder = study.generated(name)
    folder.mkdir(parents=True)
    images = np.repeat(np.arange(count * noises, dtype=np.uint8), 4 * 4 * 3).reshape(-1, 4, 4, 3)
    zarr.save_array(folder / "images.zarr", images)
    spots = np.repeat([f"C5:{place}" for place in range(count)], noises)
    pd.DataFrame({"spot": spots, "seed": np.tile(range(noises), count)}).to_parquet(folder / "index.parquet")
    (folder / "provenance.json").write_text(json.dumps({"id": name}))


class MeanColour:
    name = "mean colour"

    def features(self, images):
        noise = np.random.default_rng(0).normal(size=(len(images), 3))
        return (images.mean(axis=(1, 2)) + noise).astype(np.float32)


def test_generators_with_too_few_images_are_left_out_of_the_mixing(study, monkeypatch, capsys):
    monkeypatch.setattr(
        space_images,
        "image_encoder_features",
        lambda _, patches: space_images._features("e", MeanColour().features, patches),
    )
    write_images(study, "gan", 46, noises=2)
    write_images(study, "tissue-w1", 10)
    train = SimpleNamespace(patches=lambda rows: np.zeros((len(rows), 8, 8, 3), np.uint8))
    judge = Judge(extractor=MeanColour(), dataset=train, rows=np.arange(50), regions=None)
    spots = space.load_test_spots(Path("anything"))
    found = space_images.image_space(study, spots, judge, ["gan", "tissue-w1"], space_settings(), seed=0)
    assert list(found.metrics["independent"]["models"]) == ["gan"]
    assert found.metrics["independent"]["models"]["gan"]["n"] == 46
    assert "10 tissue-w1 patches are too few" in capsys.readouterr().err
    only_few = space_images.image_space(study, spots, judge, ["tissue-w1"], space_settings(), seed=0)
    assert only_few is None


def test_one_image_a_spot_that_of_the_first_noise(study):
    write_images(study, "gan", 20, noises=2)
    chosen = space_images.some_generated(study, "gan", 8, seed=0)
    assert len(chosen) == 8
    assert (chosen[:, 0, 0, 0] % 2 == 0).all()
    assert len(space_images.some_generated(study, "gan", 100, seed=0)) == 20


def space_settings():
    from g2m_eval.config import SpaceSettings

    return SpaceSettings(clusters=2)
