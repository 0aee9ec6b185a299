import numpy as np
import pytest

from g2m_interpret.errors import InputError
from g2m_interpret.perturbation.edits import Edit, edit_expression, matched_genes, mean_expression


def test_knockout_and_folds_act_on_counts(spots, genes):
    expression = spots[0][:5]
    counts = np.expm1(expression.astype(float))
    gone = edit_expression(expression, genes, Edit(up=("Gene3",)))
    assert not gone[:, 3].any()
    np.testing.assert_array_equal(np.delete(gone, 3, axis=1), np.delete(expression, 3, axis=1))
    driven = edit_expression(expression, genes, Edit(up=("Gene3",), down=("Gene5",), fold=4.0))
    np.testing.assert_allclose(np.expm1(driven[:, 3].astype(float)), 4 * counts[:, 3], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(driven[:, 5].astype(float)), counts[:, 5] / 4, rtol=1e-5)
    assert driven.dtype == expression.dtype


def test_renormalised_profiles_keep_their_library_size(spots, genes):
    expression = spots[0][:5]
    edited = edit_expression(expression, genes, Edit(up=("Gene0", "Gene1"), fold=4.0, renormalise=True))
    total = np.expm1(expression.astype(float)).sum(axis=1)
    np.testing.assert_allclose(np.expm1(edited.astype(float)).sum(axis=1), total, rtol=1e-5)
    assert (edited[:, 10] <= expression[:, 10]).all()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Edit(up=()), "at least one gene"),
        (lambda: Edit(up=("a",), down=("a",), fold=2.0), "up and down"),
        (lambda: Edit(up=("a",), down=("b",)), "fold 0"),
        (lambda: Edit(up=("a",), fold=-1.0), "fold -1"),
        (lambda: edit_expression(np.zeros((1, 2), np.float32), ["a", "b"], Edit(up=("z",))), "gene z"),
    ],
)
def test_edits_that_cannot_be_made_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()


def test_names_say_what_was_done():
    assert Edit(up=("Umod",)).name == "Umod knocked out"
    assert Edit(up=tuple("abcde"), fold=0.5).name == "a,b,c and 2 more x 0.5"
    assert Edit(up=("a",), label="lumen").name == "lumen"


def test_matched_sets_are_expressed_alike_and_leave_out_the_targets():
    generator = np.random.default_rng(0)
    mean = generator.gamma(1.0, size=500)
    names = [f"g{i}" for i in range(500)]
    targets = names[:20]
    drawn = matched_genes(mean, names, targets, sets=30, seed=1)
    assert len(drawn) == 30
    for chosen in drawn:
        assert len(set(chosen)) == 20
        assert not set(chosen) & set(targets)
    index = {name: i for i, name in enumerate(names)}
    gap = [abs(mean[index[gene]] - mean[target]) for chosen in drawn for target, gene in enumerate(chosen)]
    by_chance = np.abs(mean[:20, None] - mean).mean()
    assert np.mean(gap) < 0.15 * by_chance
    assert drawn != matched_genes(mean, names, targets, sets=30, seed=2)


def test_matched_sets_do_not_depend_on_the_order_of_genes():
    mean = np.random.default_rng(0).gamma(1.0, size=100)
    names = [f"g{i}" for i in range(100)]
    order = np.random.default_rng(1).permutation(100)
    first = matched_genes(mean, names, ["g3", "g7"], sets=5, seed=0, neighbours=10)
    second = matched_genes(mean[order], [names[i] for i in order], ["g3", "g7"], sets=5, seed=0, neighbours=10)
    assert first == second


def test_genes_are_matched_by_their_counts_not_by_their_logarithms():
    expression = np.log1p(np.array([[8.0, 0.0, 4.0, 2.0], [8.0, 16.0, 4.0, 2.0]], np.float32))
    mean = mean_expression(expression)
    np.testing.assert_allclose(np.expm1(mean), [8, 8, 4, 2], rtol=1e-5)
    assert matched_genes(mean, ["even", "bursts", "half", "low"], ["even"], sets=1, seed=0, neighbours=1) == [
        ("bursts",)
    ]


def test_no_random_set_needs_no_other_gene():
    assert matched_genes(np.ones(3), list("abc"), list("abc"), sets=0, seed=0) == []


def test_genes_that_the_panel_lacks_cannot_be_matched():
    with pytest.raises(InputError, match=r"gene Umod is not in the panel of 3 genes \(1 missing"):
        matched_genes(np.ones(3), list("abc"), ["a", "Umod"], sets=1, seed=0)


def test_a_panel_too_small_to_match_is_refused():
    with pytest.raises(InputError, match="cannot be matched"):
        matched_genes(np.ones(3), ["a", "b", "c"], ["a", "b"], sets=1, seed=0)
