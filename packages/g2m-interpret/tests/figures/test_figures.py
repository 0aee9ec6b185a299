import io

import numpy as np
import pandas as pd
import pytest

from g2m_interpret.errors import InputError
from g2m_interpret.figures.genes import figure_enrichment, figure_top_genes
from g2m_interpret.figures.perturbation import difference_map, figure_doses, figure_perturbation
from g2m_interpret.perturbation.dose import DoseResponse


def ink(figure):
    """Share of pixels that are not white."""
    from matplotlib.image import imread

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    buffer.seek(0)
    return float((imread(buffer)[..., :3] < 0.95).any(axis=-1).mean())


def test_top_genes_have_a_panel_a_reference():
    table = pd.DataFrame(
        {
            "query": "CX",
            "reference": ["BAT"] * 3 + ["OSOM"] * 2,
            "gene": ["a", "b", "c", "a", "d"],
            "score": [3.0, 2.0, -1.0, 2.0, 1.0],
        }
    )
    figure = figure_top_genes(table, "CX")
    assert [axes.get_title(loc="center") for axes in figure.axes] == ["against BAT", "against OSOM"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    assert ink(figure) > 0.01
    with pytest.raises(InputError, match="'ISOM'"):
        figure_top_genes(table, "ISOM")


def test_enrichment_shows_the_strongest_terms_of_either_sign():
    terms = pd.DataFrame(
        {"sample": "4", "term": ["A", "B", "C"], "nes": [1.2, -1.9, 1.7], "query": "BAT", "reference": "CX"}
    )
    figure = figure_enrichment(terms, most=2)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [label[0] for label in labels] == ["C", "B"]
    assert "2 of 3" in figure.axes[0].get_title(loc="right")
    assert "no term" in figure_enrichment(terms.iloc[:0]).axes[0].texts[0].get_text()


def test_difference_is_negative_where_the_edit_darkens():
    before, after = np.full((1, 2, 2, 3), 200, np.uint8), np.full((1, 2, 2, 3), 98, np.uint8)
    np.testing.assert_allclose(difference_map(before, after), -0.4)


def test_perturbation_strip_has_real_unperturbed_edits_and_change():
    generator = np.random.default_rng(0)
    one = generator.integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    edits = generator.integers(0, 255, (2, 3, 16, 16, 3), dtype=np.uint8)
    figure = figure_perturbation(one, one, edits, ["CX", "BAT"], ["x 0", "x 2", "x 4"])
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles == ["real", "unperturbed", "x 0", "x 2", "x 4", "change, x 4"]
    assert ink(figure) > 0.2
    with pytest.raises(InputError, match="label"):
        figure_perturbation(one, one, edits, ["CX"], ["x 0", "x 2", "x 4"])


def test_dose_curves_say_how_they_compare_with_random_sets():
    curve = pd.DataFrame({"dose": [0.25, 1.0, 4.0], "statistic": "lumen", "mean": [1.0, 2, 3], "low": 0.5, "high": 3.5})
    summary = pd.DataFrame(
        {"spearman": [1.0], "change": [2.0], "beyond_random": [1.0], "random_sets": [2]}, index=["lumen"]
    )
    response = DoseResponse(curve=curve, summary=summary, random=np.array([[0.1], [-0.2]]))
    figure = figure_doses([("lumen genes", "lumen", response)])
    assert "beyond 100% of 2 random sets" in figure.axes[0].texts[0].get_text()
    assert len(figure.axes[0].lines) == 3
    assert ink(figure) > 0.01
