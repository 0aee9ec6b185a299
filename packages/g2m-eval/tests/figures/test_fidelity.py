import numpy as np
import pandas as pd
import pytest

from g2m_eval.errors import InputError
from g2m_eval.figures.fidelity import figure_fidelity, figure_genes
from g2m_eval.figures.memorisation import figure_closest, figure_nearest
from g2m_eval.figures.stain import figure_stain
from g2m_eval.figures.style import png_bytes
from g2m_eval.intervals import Interval
from g2m_eval.memorisation import ClosestPairs

RANDOM = np.random.default_rng(0)


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


def around(value):
    return Interval(value=value, low=value - 0.05, high=value + 0.05)


def test_every_rung_shows_floor_value_and_ceiling():
    scores = {
        "retrieval": {"real": around(0.9), "generated": around(0.4), "shuffled": around(0.06)},
        "nuclei_count": {"real": around(0.95), "generated": around(0.77), "shuffled": around(-0.21)},
    }
    figure = figure_fidelity(scores)
    found = texts(figure)
    for value in ("0.90", "0.40", "0.06", "0.95", "0.77", "-0.21"):
        assert value in found
    assert any("spot found" in text for text in found)
    assert figure.axes[0].get_xlim()[0] < -0.26
    nothing = Interval(value=float("nan"), low=float("nan"), high=float("nan"))
    png_bytes(figure_fidelity({"transcriptome": dict.fromkeys(("real", "generated", "shuffled"), nothing)}), 50)
    with pytest.raises(InputError, match="at least one metric"):
        figure_fidelity({})


def test_genes_that_lose_most_are_named():
    genes = pd.DataFrame(
        {"gene": ["Umod", "Aqp2", "Ucp1"], "real": [0.8, 0.7, 0.5], "generated": [0.2, 0.69, np.nan], "shuffled": 0.0}
    )
    found = texts(figure_genes(genes, named=1))
    assert "Umod" in found
    assert "Aqp2" not in found
    png_bytes(figure_genes(genes.iloc[:0]), 50)


def test_distances_are_drawn_as_shares():
    figure = figure_nearest({"generated": np.array([3.0, 1.0]), "held-out": np.array([2.0, 4.0, 5.0])}, 2.0)
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 2 or 3.0 in line.get_xdata()]
    assert lines[0].get_xdata().tolist() == [1.0, 3.0]
    assert lines[0].get_ydata().tolist() == [0.5, 1.0]
    assert any("generated (2)" in text for text in texts(figure))


def test_each_patch_stands_above_its_nearest_training_patch():
    images = RANDOM.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    pairs = ClosestPairs(
        patches=images[:2], neighbours=images[2:], distance=np.array([1.25, 2.5]), difference=np.array([3.0, 41.0])
    )
    figure = figure_closest({"generated": pairs, "held-out": pairs})
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    for image, expected in zip(shown, [0, 1, 2, 3, 0, 1, 2, 3], strict=True):
        np.testing.assert_array_equal(image, images[expected])
    assert texts(figure).count("1.25 | 3") == 2
    left, below = figure.axes[0].get_position(), figure.axes[2].get_position()
    assert left.y0 > below.y0
    with pytest.raises(InputError, match="at least one kind"):
        figure_closest({})


def test_an_arrow_leads_from_each_section_to_what_was_generated():
    lab = pd.DataFrame(
        [("training", "", 60, 30, -9), ("test", "s1", 61, 22, -8), ("generated", "s1", 60, 28, -9)],
        columns=["set", "section", "L", "a", "b"],
    )
    figure = figure_stain(lab)
    arrows = [t for t in figure.axes[0].texts if t.arrow_patch is not None]
    assert [(a.xy, a.get_position()) for a in arrows] == [((28, -9), (22, -8))]
    assert "s1" in texts(figure)
    png_bytes(figure, 50)
