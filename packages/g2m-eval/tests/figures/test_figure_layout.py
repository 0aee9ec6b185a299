from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from g2m_eval.fidelity.regions import score_regions
from g2m_eval.figures import figure_confusion, figure_distances, figure_factors
from g2m_eval.figures.style import png_bytes

EXTRACTOR = "g2m-small-cnn self-supervised 128px 3f2a91"
TITLES = ("real patches", "generated patches", "real patches, mean colour only")


def draw_confusion(regions):
    scores = score_regions(regions, regions[::-1])
    return figure_confusion(dict.fromkeys(TITLES, scores))


def draw_distances():
    distances = {"real training": 0.12, "generated": 2.0, "generated, shuffled": 123.5}
    return figure_distances(distances, extractor=EXTRACTOR, n=36_528)


def draw_factors():
    return figure_factors(
        pd.DataFrame(
            {
                "factor": ["tubule_diameter", "eosinophilia"],
                "statistic": ["tubule_diameter_um", "eosin_density"],
                "within_region_real": [0.95, -0.95],
                "within_region_generated": [0.95, -0.95],
                "p": [0.0001, 0.012],
            }
        )
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_confusion(["cortex", "papilla"] * 3),
        lambda: draw_confusion(["cortex", "outer_medulla", "inner_medulla_and_papilla", "fat", "pelvis", "vessel"]),
        draw_distances,
        draw_factors,
    ],
    ids=["two regions", "six regions", "distances", "factors"],
)
def test_no_text_is_cut_off_at_an_edge(draw):
    figure = draw()
    png_bytes(figure, dpi=100)
    page = figure.bbox
    for axes in figure.axes:
        for text in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts):
            if text.get_text() and text.get_visible():
                extent = text.get_window_extent()
                # a pixel's tolerance for rounding
                corners = np.array([[extent.x0, extent.y0], [extent.x1, extent.y1]])
                assert (corners >= [page.x0 - 1, page.y0 - 1]).all(), text
                assert (corners <= [page.x1 + 1, page.y1 + 1]).all(), text


def test_titles_of_neighbouring_panels_do_not_overlap():
    figure = draw_confusion(["cortex", "papilla"] * 3)
    png_bytes(figure, dpi=100)
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
