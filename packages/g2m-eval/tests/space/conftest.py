"""An invented study whose embeddings, expression and truth are known."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

REGIONS = ("CX", "OSOM", "ISOM")
GENES = ("Nphs2", "SLC34A1", "Slc7a13", "Umod", "Slc12a1", "Actb", "Gapdh", "Malat1")
"""Markers of three regions, one of them in capitals, and genes that say nothing; Slc5a2, Slc22a7 and others lack."""
MARKED = {"CX": (0, 1), "OSOM": (2,), "ISOM": (3, 4)}


def invented_study(sections, *, train=40, per_region=25, shift=6.0, seed=0):
    """Regions well apart in the embedding and alike in all sections; expression follows the section more."""
    generator = np.random.default_rng(seed)
    rows = [("train", "hd1", region) for region in REGIONS for _ in range(train // 3)]
    rows += [("test", name, region) for name in sections for region in REGIONS for _ in range(per_region)]
    split, sample, region = (np.array(column) for column in zip(*rows, strict=True))
    centre = np.eye(3)[[REGIONS.index(name) for name in region]] * 4
    embedding = np.concatenate([centre, np.zeros((len(rows), 5))], axis=1) + generator.normal(0, 0.3, (len(rows), 8))
    expression = generator.random((len(rows), len(GENES)))
    for name, columns in MARKED.items():
        expression[np.ix_(region == name, columns)] += 1.0
    expression[:, 5:] += shift * np.array([(int(name[-1]) % 2, len(name), int(name[-1])) for name in sample])
    names = [f"{name}:{number}" for number, name in enumerate(sample)]
    obs = pd.DataFrame({"sample": pd.Categorical(sample), "split": pd.Categorical(split)}, index=names)
    embeddings = AnnData(embedding.astype(np.float32), obs=obs, obsm={"spatial": generator.random((len(rows), 2))})
    table = AnnData(expression.astype(np.float32), obs=obs[[]], var=pd.DataFrame(index=list(GENES)))
    return embeddings, table, pd.DataFrame({"region": region, "purity": 1.0}, index=names)


@pytest.fixture(scope="session")
def invent():
    """The function that invents a study of the named sections."""
    return invented_study
