import anndata
import numpy as np
import pytest
import torch

from g2m_encoders import ContrastiveModel, InputError, embed_pairs


@pytest.fixture
def model(settings, toy) -> ContrastiveModel:
    return ContrastiveModel.build(settings, toy.GENES)


def test_embeddings_do_not_depend_on_the_batch_and_keep_obs(model, pairs, tmp_path):
    small = embed_pairs(model, pairs, batch_size=7, provenance={"seed": 1})
    whole = embed_pairs(model, pairs)
    assert np.allclose(small.X, whole.X, atol=1e-6)
    assert small.X.dtype == np.float32
    assert small.obs.equals(pairs.obs)
    assert np.array_equal(small.obsm["spatial"], pairs.obs[["x", "y"]])
    assert np.allclose(small.uns["null_embedding"], model.null_embedding().detach(), atol=1e-6)
    small.write_h5ad(tmp_path / "e.h5ad")
    assert anndata.read_h5ad(tmp_path / "e.h5ad").uns["seed"] == 1


def test_genes_are_matched_by_name(model, pairs, toy):
    order = np.random.default_rng(0).permutation(len(toy.GENES))
    shuffled = toy.ToyPairs(len(pairs), [toy.GENES[i] for i in order])
    shuffled._expression = pairs._expression[:, order]
    assert np.allclose(embed_pairs(model, shuffled).X, embed_pairs(model, pairs).X, atol=1e-6)


def test_only_a_batch_of_expression_is_asked_for_at_a_time(model, pairs, monkeypatch):
    asked = []
    read = pairs.expression
    monkeypatch.setattr(pairs, "expression", lambda indices: asked.append(len(indices)) or read(indices))
    embed_pairs(model, pairs, batch_size=40)
    assert asked == [40, 40, 16]


def test_section_with_half_the_genes_is_refused(model, toy):
    half = toy.ToyPairs(10, toy.GENES[::2])
    with pytest.raises(InputError, match="only 12 of the model's 24 genes"):
        embed_pairs(model, half)
    assert embed_pairs(model, half, minimum_share=0.4).n_obs == 10


def test_training_mode_is_left_as_it_was(model, pairs):
    model.train()
    embed_pairs(model, pairs)
    assert model.training
    assert torch.is_grad_enabled()


def test_expression_alone_is_enough_on_any_precision(model, pairs, tmp_path):
    model.save_pretrained(tmp_path / "model")
    whole = embed_pairs(model, pairs)
    alone = ContrastiveModel.from_pretrained(tmp_path / "model", image=False)
    assert np.array_equal(embed_pairs(alone, pairs).X, whole.X)
    half = embed_pairs(alone, pairs, precision="bf16")
    assert np.allclose(np.linalg.norm(half.X, axis=1), 1, atol=1e-6)
    assert 0 < np.abs(half.X - whole.X).max() < 0.02
