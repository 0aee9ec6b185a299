import numpy as np
from anndata import AnnData

from g2m_eval.space.layout import lay_out, layout_of


def test_layout_is_reproducible_and_keeps_what_lies_apart_apart():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(size=(90, 4)), 30 + generator.normal(size=(90, 4))]).astype(np.float32)
    layout = layout_of(points, seed=1)
    np.testing.assert_array_equal(layout, layout_of(points, seed=1))
    centres = layout[:90].mean(axis=0), layout[90:].mean(axis=0)
    spread = max(layout[:90].std(), layout[90:].std())
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread


def test_few_points_are_laid_out_too():
    data = AnnData(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    lay_out(data)
    assert data.obsm["X_umap"].shape == (8, 2)
    assert {"connectivities", "distances"} <= set(data.obsp)
    assert np.isfinite(data.obsm["X_umap"]).all()
