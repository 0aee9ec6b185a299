import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2m_encoders import InputError
from g2m_encoders.alignment import align_genes

PANEL = [f"Gene{i}" for i in range(20)]


@given(st.permutations(range(25)))
def test_any_order_with_extra_genes_gives_the_panels_order(order):
    names = [*PANEL, "Extra1", "Extra2", "gene0", "GENE1", "Extra3"]
    section = np.arange(50, dtype=np.float32).reshape(2, 25)
    aligned = align_genes(PANEL, [names[i] for i in order]).apply(section[:, order])
    assert np.array_equal(aligned, section[:, :20])


def test_missing_genes_are_zero_and_named():
    alignment = align_genes(PANEL, PANEL[1:])
    aligned = alignment.apply(np.ones((3, 19), dtype=np.float32))
    assert alignment.missing == ["Gene0"]
    assert alignment.panel_share == pytest.approx(0.95)
    assert (aligned[:, 0] == 0).all()
    assert (aligned[:, 1:] == 1).all()


def test_share_of_counts_weighs_genes_by_their_usual_counts():
    counts = np.array([10.0] + [1.0] * 19)
    alignment = align_genes(PANEL, PANEL[1:], usual_counts=counts)
    assert alignment.counts_share == pytest.approx(19 / 29)
    assert "19 of the model's 20 genes found (95.0%), which usually hold 65.5% of its counts" in alignment.describe()


def test_half_the_panel_is_refused_in_one_line_unless_allowed():
    with pytest.raises(InputError, match=r"only 10 of the model's 20 genes found .* at least 95%") as refusal:
        align_genes(PANEL, PANEL[:10])
    assert "\n" not in str(refusal.value)
    assert align_genes(PANEL, PANEL[:10], minimum_share=0.5).panel_share == 0.5


def test_letter_case_matters():
    with pytest.raises(InputError, match="only 0 of"):
        align_genes(PANEL, [gene.upper() for gene in PANEL])


def test_gene_named_twice_is_refused():
    with pytest.raises(InputError, match="'Gene3' occurs twice"):
        align_genes(PANEL, [*PANEL, "Gene3"])
