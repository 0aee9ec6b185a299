import numpy as np
import pandas as pd
import pytest

from g2m_interpret.errors import InputError
from g2m_interpret.figures.screen import figure_image_genes, figure_screen


@pytest.fixture
def table():
    """Twelve genes ranked, six screened, two of the others random ones beside them."""
    predicted = np.linspace(-6, 5, 12)
    change = np.where(np.arange(12) < 8, predicted * 0.9, np.nan)
    return pd.DataFrame(
        {
            "gene": [f"Gene{number}" for number in range(12)],
            "predicted": predicted,
            "change": change,
            "low": change - 0.5,
            "high": change + 0.7,
            "screened": np.arange(12) < 6,
        }
    )


def test_screened_random_and_known_genes_are_told_apart(table):
    figure = figure_screen(table, "lumen_share", known=["Gene0", "Gene1"], known_as="the factor's own genes", most=4)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["as predicted", "random, expressed alike (2)", "screened (4)", "the factor's own genes (2)"]
    bars = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert bars == ["Gene0", "Gene1", "Gene2", "Gene3"]
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(widths, table["change"][:4])


def test_a_screen_without_anything_verified_is_refused(table):
    with pytest.raises(InputError, match="nothing of this screen"):
        figure_screen(table.assign(screened=False), "lumen_share")


def test_each_statistic_has_a_panel_with_its_own_strongest_genes():
    table = pd.DataFrame(
        {
            "statistic": np.repeat(["lumen_share", "eosin_density"], 3),
            "gene": ["a", "b", "c"] * 2,
            "change": [1.0, -3.0, 2.0, 0.1, 0.2, 0.3],
            "standard_error": 0.05,
        }
    )
    figure = figure_image_genes(table, genes=2, known={("lumen_share", "b")})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["lumen share", "eosin density"]
    shown = [[label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes]
    assert shown == [["b", "c"], ["c", "b"]]
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert colours[0] != colours[1]
