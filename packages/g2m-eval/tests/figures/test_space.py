import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.figures.space import Layout, colours_of_clusters, colours_of_samples, figure_layouts, figure_mixing
from g2m_eval.figures.style import CATEGORIES, GENERATED, REAL, png_bytes

XY = np.random.default_rng(0).random((30, 2))
LABELS = ["CX"] * 10 + ["BAT"] * 10 + ["unnamed 1"] * 10
ORDER = ["BAT", "CX", "absent", "unnamed 1"]


def panel(**changes):
    return Layout(**{"title": "a  Embeddings", "xy": XY, "labels": LABELS, "order": ORDER, **changes})


def hex_of(colours):
    return {"#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in colour[:3])) for colour in colours}


def test_every_point_is_drawn_in_the_colour_of_its_label():
    colours = colours_of_clusters(ORDER)
    figure = figure_layouts([panel()], [colours])
    points = figure.axes[0].collections[0]
    drawn = {
        tuple(xy): hex_of([colour]).pop()
        for xy, colour in zip(points.get_offsets(), points.get_facecolors(), strict=True)
    }
    assert drawn == {tuple(xy): colours[label] for xy, label in zip(XY, LABELS, strict=True)}
    assert points.get_rasterized()


def test_legend_names_what_occurs_in_order():
    figure = figure_layouts([panel()], [colours_of_clusters(ORDER)])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["BAT", "CX", "unnamed 1"]


def test_unnamed_clusters_are_grey_and_sections_have_other_colours_than_clusters():
    colours = colours_of_clusters(["unnamed 1", "CX", "BAT"])
    for name, colour in colours.items():
        channels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert (max(channels) - min(channels) < 30) == name.startswith("unnamed")
    assert not set(colours_of_clusters(["a", "b", "c", "d", "e"]).values()) & set(
        colours_of_samples(["1", "2", "3", "4", "5"]).values()
    )


def test_where_no_cluster_is_named_all_have_colours():
    assert list(colours_of_clusters(["unnamed 1", "unnamed 2"]).values()) == list(CATEGORIES[:2])


def test_panels_fill_rows_and_the_rest_stays_empty():
    figure = figure_layouts([panel()] * 3, [colours_of_clusters(ORDER)] * 3, columns=2)
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]


def test_real_and_generated_have_their_colours():
    figure = figure_mixing([panel(labels=["real"] * 15 + ["generated"] * 15, order=("real", "generated"))])
    assert hex_of(figure.axes[0].collections[0].get_facecolors()) == {REAL, GENERATED}


@pytest.mark.parametrize("names", [["CX", "OSOM", "ISOM", "IM&P", "BAT"], [f"unnamed {n}" for n in range(1, 9)]])
def test_nothing_overlaps_or_is_cut_off(names):
    labels = [names[place % len(names)] for place in range(len(XY))]
    layout = panel(title="a  Embedding, joint clusters\nARI with sections' own: 0.983", labels=labels, order=names)
    figure = figure_layouts([layout] * 4, [colours_of_clusters(names)] * 4, columns=2)
    png_bytes(figure)  # places everything
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1 + 1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_labels_must_fit_the_points():
    with pytest.raises(InputError, match="30 points and 2 labels"):
        figure_layouts([panel(labels=["a", "b"])], [{}])
    with pytest.raises(InputError, match="need a panel"):
        figure_layouts([], [])
