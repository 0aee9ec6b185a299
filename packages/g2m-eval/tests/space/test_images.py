import anndata
import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.space import keys
from g2m_eval.space.images import REAL_TRAINING, PatchFeatures, compare_images


def features(network, shift, *, seed=0, generated=60):
    generator = np.random.default_rng(seed)
    draw = lambda n, by=0.0: (generator.normal(size=(n, 6)) + by).astype(np.float32)  # noqa: E731
    models = {"gan": draw(generated, shift), "tissue-w1": draw(50, 30.0)}
    return PatchFeatures(network=network, test=draw(80), train=draw(70), generated=models)


@pytest.fixture(scope="module")
def found():
    return compare_images(independent=features("small-cnn", 30.0), image_encoder=features("encoder", 0.0, seed=1))


def test_a_network_that_took_part_may_see_them_mixed_where_an_independent_one_does_not(found):
    score = lambda role, model: found.metrics[role]["models"][model]["generated_vs_test"]["value"]  # noqa: E731
    assert score("independent", "gan") == 0
    assert score("image_encoder", "gan") > 0.85
    assert score("image_encoder", "tissue-w1") == 0
    assert (found.metrics["independent"]["network"], found.metrics["image_encoder"]["network"]) == (
        "small-cnn", "encoder",
    )  # fmt: skip


def test_reference_is_of_as_many_real_patches(found):
    for role in ("independent", "image_encoder"):
        for model, count in (("gan", 60), ("tissue-w1", 50)):
            entry = found.metrics[role]["models"][model]
            assert entry["n"] == count
            assert entry["train_vs_test"]["value"] == pytest.approx(1, abs=0.2)
    assert found.table["N of each kind"].tolist() == [60, 50, 60, 50]
    assert found.table["took part in training"].tolist() == ["no", "no", "yes", "yes"]


def test_file_holds_every_patch_and_says_what_it_is(found, tmp_path):
    found.adata.write_h5ad(tmp_path / "images.h5ad")
    data = anndata.read_h5ad(tmp_path / "images.h5ad")
    counts = data.obs.groupby([keys.KIND, keys.MODEL], observed=True).size().to_dict()
    assert counts == {
        ("real test", ""): 80, ("real training", ""): 70, ("generated", "gan"): 60, ("generated", "tissue-w1"): 50,
    }  # fmt: skip
    assert data.obsm[keys.IMAGE_ENCODER].shape == (260, 6)
    laid_out = np.isfinite(data.obsm[keys.UMAP_INDEPENDENT]).all(axis=1)
    np.testing.assert_array_equal(laid_out, (data.obs[keys.KIND] != REAL_TRAINING).to_numpy())


def test_networks_must_have_seen_the_same_patches():
    with pytest.raises(InputError, match="on the same patches"):
        compare_images(independent=features("a", 0.0), image_encoder=features("b", 0.0, generated=55))
