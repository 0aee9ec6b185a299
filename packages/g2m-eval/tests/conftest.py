"""Shapes and types in signatures are checked while tests run; patches that any test can draw."""

from importlib import import_module

from jaxtyping import install_import_hook

with install_import_hook("g2m_eval", "beartype.beartype"):
    for module in (
        "extractors.training",
        "evaluate",
        "report.sections",
        "fidelity.evaluate",
        "memorisation",
        "stain",
        "report.fidelity",
        "report.space",
        "distances.compare",
        "extractors.features",
        "extractors.function",
        "extractors.inception",
    ):  # these import all others
        import_module(f"g2m_eval.{module}")

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

HAEMATOXYLIN = np.array([0.5626, 0.7201, 0.4062])
EOSIN = np.array([0.2159, 0.8012, 0.5581])


def develop(haematoxylin, eosin):
    """Stain densities (height, width) to uint8 RGB by Beer-Lambert with Macenko's reference vectors."""
    density = haematoxylin[..., None] * HAEMATOXYLIN + eosin[..., None] * EOSIN
    return np.clip(np.rint(240 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def _draw_patch(nuclei=(), holes=(), *, size=128, um=55.0, eosin=0.4, nucleus_um=2.8, seed=0):
    """A patch of even cytoplasm with round nuclei at (x, y) and white holes (x, y, radius), all in um."""
    generator = np.random.default_rng(seed)
    y, x = (np.indices((size, size)) + 0.5) * um / size
    purple = np.full((size, size), 0.15)
    pink = eosin + 0.02 * generator.standard_normal((size, size))
    for cx, cy in nuclei:
        purple[np.hypot(x - cx, y - cy) < nucleus_um] = 1.5
    for cx, cy, radius in holes:
        inside = np.hypot(x - cx, y - cy) < radius
        purple[inside] = pink[inside] = 0.0
    return develop(purple, np.maximum(pink, 0))


@pytest.fixture(scope="session")
def draw_patch():
    """The function that draws one patch."""
    return _draw_patch


@pytest.fixture(scope="session")
def spotted_regions(draw_patch):
    """Training and test patches of two regions with the same mean colour: coarse and fine spots."""

    def draw(n, seed):
        generator = np.random.default_rng(seed)
        labels = np.where(generator.random(n) < 0.5, "coarse", "fine")
        patches = []
        for label in labels:
            step, radius = (14.0, 4.0) if label == "coarse" else (7.0, 2.0)
            grid = np.arange(0, 60, step) + generator.uniform(-step, 0)
            spots = [(x, y) for x in grid for y in grid]
            patches.append(draw_patch(spots, size=32, nucleus_um=radius, seed=int(generator.integers(1 << 30))))
        return np.stack(patches), labels

    return draw(160, 0), draw(60, 1)


# markers of three regions, one in capitals, and genes that say nothing; Slc5a2, Slc22a7 and others are absent
STUDY_REGIONS = ("CX", "OSOM", "ISOM")
STUDY_GENES = ("Nphs2", "SLC34A1", "Slc7a13", "Umod", "Slc12a1", "Actb", "Gapdh", "Malat1")
STUDY_MARKED = {"CX": (0, 1), "OSOM": (2,), "ISOM": (3, 4)}


def _invented_study(sections, *, train=40, per_region=25, shift=6.0, seed=0):
    """Regions well apart in the embedding and alike in all sections; expression follows the section more."""
    generator = np.random.default_rng(seed)
    rows = [("train", "hd1", region) for region in STUDY_REGIONS for _ in range(train // 3)]
    rows += [("test", name, region) for name in sections for region in STUDY_REGIONS for _ in range(per_region)]
    split, sample, region = (np.array(column) for column in zip(*rows, strict=True))
    centre = np.eye(3)[[STUDY_REGIONS.index(name) for name in region]] * 4
    embedding = np.concatenate([centre, np.zeros((len(rows), 5))], axis=1) + generator.normal(0, 0.3, (len(rows), 8))
    expression = generator.random((len(rows), len(STUDY_GENES)))
    for name, columns in STUDY_MARKED.items():
        expression[np.ix_(region == name, columns)] += 1.0
    expression[:, 5:] += shift * np.array([(int(name[-1]) % 2, len(name), int(name[-1])) for name in sample])
    names = [f"{name}:{number}" for number, name in enumerate(sample)]
    obs = pd.DataFrame({"sample": pd.Categorical(sample), "split": pd.Categorical(split)}, index=names)
    embeddings = AnnData(embedding.astype(np.float32), obs=obs, obsm={"spatial": generator.random((len(rows), 2))})
    table = AnnData(expression.astype(np.float32), obs=obs[[]], var=pd.DataFrame(index=list(STUDY_GENES)))
    return embeddings, table, pd.DataFrame({"region": region, "purity": 1.0}, index=names)


@pytest.fixture(scope="session")
def invent():
    """The function that invents a study of the named sections."""
    return _invented_study
