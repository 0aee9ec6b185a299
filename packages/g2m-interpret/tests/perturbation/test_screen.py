import numpy as np
import pytest

from g2m_interpret.errors import InputError
from g2m_interpret.images.through_generator import attribute_images
from g2m_interpret.perturbation.edits import Edit
from g2m_interpret.perturbation.screen import gene_controls, rank_by_gradient, screen_table, set_controls
from g2m_interpret.perturbation.simulator import draw_keys
from g2m_interpret.perturbation.verification import verify_edits

KEYS = draw_keys([f"spot {i}" for i in range(6)], 2, 0)


def edits_of(genes):
    return [Edit(up=(gene,), label=gene) for gene in genes]


def verify(simulator, expression, edits, folder):
    return verify_edits(simulator, expression, edits, KEYS, folder, models={"gan": "1"}, resamples=20)


@pytest.fixture
def gradients(spots, genes, toy):
    return attribute_images(spots[0][:6], genes, KEYS, encode=toy.encode, draw=toy.draw, statistics=toy.pink)


def test_one_table_holds_prediction_and_verification(spots, genes, toy, tmp_path):
    expression = spots[0][:6]
    found = attribute_images(expression, genes, KEYS, encode=toy.encode, draw=toy.draw, statistics=toy.pink)
    ranked = rank_by_gradient(found, "pink", fold=0.0)
    assert set(ranked["gene"][:8]) == set(genes[:8])
    verified = verify(toy.simulator(genes), expression, edits_of(ranked["gene"][:8]), tmp_path)
    table = screen_table(ranked, verified, "pink")
    assert table["rank"].tolist() == list(range(1, 25))
    np.testing.assert_allclose(table["change"][:8], table["predicted"][:8], atol=0.01)
    assert table["change"][8:].isna().all()
    doubled = rank_by_gradient(found, "pink", fold=0.5)
    assert doubled.set_index("gene").loc["Gene0", "predicted"] == pytest.approx(-found[:, "Gene0"].X[0, 0])
    with pytest.raises(InputError, match="no statistic"):
        rank_by_gradient(found, "lumen", fold=2.0)


@pytest.mark.parametrize("fold", [0.0, 2.0])
def test_a_prediction_counts_what_rescaling_does_to_all_other_genes(spots, genes, toy, gradients, tmp_path, fold):
    expression = spots[0][:6]
    counts = np.expm1(expression.astype(float)).mean(axis=0)
    shares = counts / counts.sum()
    sets = {"own": ["Gene0", "Gene1"], "others": ["Gene20", "Gene21", "Gene22"]}
    edits = [Edit(up=tuple(some), fold=fold, renormalise=True, label=name) for name, some in sets.items()]
    change = verify(toy.simulator(genes), expression, edits, tmp_path).query("statistic == 'pink'").set_index("edit")
    asked = {"fold": fold, "sets": sets}
    told, plain = (
        rank_by_gradient(gradients, "pink", **asked, shares=one).set_index("set")["predicted"] for one in (shares, None)
    )
    assert plain["others"] == pytest.approx(0, abs=1e-9)  # though the others' pink is rescaled
    for name in sets:
        assert abs(told[name] - change.loc[name, "change"]) < abs(plain[name] - change.loc[name, "change"])
    assert told["others"] == pytest.approx(change.loc["others", "change"], rel=0.25)
    alone = rank_by_gradient(gradients, "pink", fold=fold, shares=shares).set_index("gene")["predicted"]
    single = rank_by_gradient(gradients, "pink", fold=fold, sets={"one": ["Gene0"]}, shares=shares)
    assert alone["Gene0"] == pytest.approx(single["predicted"][0])


def test_a_set_is_predicted_by_the_sum_of_its_genes(gradients):
    sets = {"own": ["Gene0", "Gene1"], "against": ["Gene4", "Gene5", "Gene6"], "silent": ["Gene20"]}
    table = rank_by_gradient(gradients, "pink", fold=0.0, sets=sets).set_index("set")
    alone = rank_by_gradient(gradients, "pink", fold=0.0).set_index("gene")["predicted"]
    assert table.loc["own", "predicted"] == pytest.approx(alone["Gene0"] + alone["Gene1"])
    assert table.loc["own", "predicted"] < 0 < table.loc["against", "predicted"]
    assert table.loc["silent", "rank"] == 3
    assert table.loc["against", "genes"] == 3
    with pytest.raises(InputError, match="not in the panel of 24"):
        rank_by_gradient(gradients, "pink", fold=0.0, sets={"lost": ["Umod"]})


def test_genes_can_be_chosen_before_ranking(gradients):
    table = rank_by_gradient(gradients, "pink", fold=0.0, genes=["Gene3", "Gene20"])
    assert table["gene"].tolist() == ["Gene3", "Gene20"]
    assert table["rank"].tolist() == [1, 2]
    more = rank_by_gradient(gradients, "pink", fold=0.0, genes=["Gene3", "Gene20"], unranked=["Gene20", "Gene7"])
    assert more["gene"].tolist() == ["Gene3", "Gene20", "Gene7"]
    assert more["rank"].isna().tolist() == [False, False, True]
    assert more["predicted"].notna().all()


def test_controls_are_other_genes_of_like_expression(spots, genes):
    expression = spots[0][:6].copy()
    expression[:, 12:] = np.linspace(0, 3, 12)
    edits = [*edits_of(genes[:4]), *edits_of(["Gene23"])]
    matched = gene_controls(genes, expression, edits, number=5, seed=0)
    assert set(matched) == {edit.name for edit in edits}
    drawn = {edit.name for edit in matched.values()}
    assert len(drawn) == 5
    assert not drawn & {edit.name for edit in edits}
    few = gene_controls(genes, expression, edits_of(genes[:22]), number=40, seed=0)
    assert {edit.name for edit in few.values()} == {"Gene22", "Gene23"}
    assert gene_controls(genes, expression, edits_of(genes), number=40, seed=0) == {}


def test_controls_of_a_set_have_its_size_and_names_of_their_own(spots, genes):
    edit = Edit(up=("Gene0", "Gene1"), fold=2.0, label="SET")
    controls = set_controls(genes, spots[0][:6], edit, number=3, seed=0)
    assert [one.name for one in controls] == ["SET, random set 1", "SET, random set 2", "SET, random set 3"]
    assert all(len(one.up) == 2 and one.fold == 2.0 and not set(one.up) & set(edit.up) for one in controls)


def test_what_was_screened_is_held_against_its_controls(spots, genes, toy, gradients, tmp_path):
    ranked = rank_by_gradient(gradients, "pink", fold=0.0)
    edits, controls = edits_of(["Gene0", "Gene4"]), edits_of(["Gene12", "Gene13", "Gene14"])
    verified = verify(toy.simulator(genes), spots[0][:6], edits + controls, tmp_path)
    labels = [edit.name for edit in controls]
    table = screen_table(ranked, verified, "pink", {"Gene0": labels, "Gene4": labels}).set_index("gene")
    assert table["screened"].sum() == 2
    assert table.loc[["Gene0", "Gene4"], "same_sign"].tolist() == [1, 1]
    assert table.loc[["Gene0", "Gene4"], "beyond_random"].tolist() == [1, 1]  # the others paint nothing
    assert table.loc["Gene0", "controls"] == 3
    assert table.loc["Gene12", "change"] == 0
    assert table.loc["Gene12", ["same_sign", "beyond_random"]].isna().all()
    wrong = ranked.assign(predicted=-ranked["predicted"])
    assert screen_table(wrong, verified, "pink").set_index("gene").loc["Gene0", "same_sign"] == 0
