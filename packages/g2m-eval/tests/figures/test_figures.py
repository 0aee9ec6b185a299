import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import image, rcParams

from g2m_eval.errors import InputError
from g2m_eval.fidelity.regions import score_regions
from g2m_eval.figures import (
    SectionOverlay,
    figure_by_region,
    figure_confusion,
    figure_distances,
    figure_factor_scatter,
    figure_factors,
    figure_generated,
    figure_sections,
    figure_training,
    save_figure,
)
from g2m_eval.figures.patches import figure_rows

RANDOM = np.random.default_rng(0)


def patches(*shape):
    return RANDOM.integers(0, 256, (*shape, 16, 16, 3), dtype=np.uint8)


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


def shown(figure):
    return [a.get_array() for axes in figure.axes for a in axes.get_images()]


def test_figure_2_has_the_reference_leftmost_and_a_column_for_each_noise():
    reference, generated = patches(3), patches(3, 4)
    figure = figure_generated(reference, generated, ["s1\ncortex", "s1\nIM&P", "s2\nBAT"], patch_um=55.0)
    images = shown(figure)
    assert len(images) == 3 * 5
    np.testing.assert_array_equal(images[0], reference[0])
    np.testing.assert_array_equal(images[5 + 4], generated[1, 3])
    left = [axes.get_position().x0 for axes in figure.axes[:5]]
    assert left == sorted(left)
    assert "20 µm" in texts(figure)


def test_figure_2_refuses_rows_that_do_not_match():
    with pytest.raises(InputError, match="each spot needs"):
        figure_generated(patches(2), patches(3, 1), ["a", "b", "c"])


def test_real_and_generated_patches_of_one_column_belong_to_one_spot():
    real, generated = patches(12), patches(12)
    figure = figure_by_region(real, generated, ["a", "b"] * 6, per_region=3, order=["b", "a"])
    images = shown(figure)
    index = lambda pool, x: next(i for i, p in enumerate(pool) if np.array_equal(p, x))  # noqa: E731
    first_row = [index(real, x) for x in images[:3]]
    assert first_row == [index(generated, x) for x in images[3:6]]
    assert all(i % 2 == 1 for i in first_row)


def test_confusion_shows_row_percentages():
    scores = score_regions(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    found = texts(figure_confusion({"real": scores, "generated": scores}))
    assert found.count("50") >= 2
    assert found.count("100") >= 1
    assert "real: balanced accuracy 0.75" in [text.replace("\n", " ") for text in found]


def test_factor_bars_show_both_values_and_p():
    table = pd.DataFrame(
        {
            "factor": ["lumen", "eosin"],
            "statistic": ["lumen_share", "eosin_density"],
            "within_region_real": [0.6, 0.7],
            "within_region_generated": [0.4, np.nan],
            "p": [0.0001, np.nan],
        }
    )
    figure = figure_factors(table)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [0.6, 0.7, 0.4, 0.0]
    assert "p < 0.001" in texts(figure)


def test_distances_draw_each_bar_to_its_value():
    figure = figure_distances({"real training": 1.0, "generated": 5.5}, extractor="net abc", n=10)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1.0, 5.5]
    assert any("net abc" in t and "N = 10" in t for t in texts(figure))


def test_training_curves_skip_what_is_not_a_quantity_and_gaps():
    rows = [{"images_seen": 10 * i, "loss": 5 / (i + 1), "seconds": i, "note": "x"} for i in range(40)]
    rows[7]["accuracy"] = 0.5
    figure = figure_training(rows, levels={"loss": {"chance": 4.85}})
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["loss", "accuracy"]
    assert "chance" in texts(figure)
    with pytest.raises(InputError, match="images_seen"):
        figure_training([{"step": 1}])


def test_sections_place_spots_on_the_slide():
    section = SectionOverlay(
        image=RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        xy=np.array([[10.0, 20.0], [30.0, 5.0]]),
        labels=["CX", "IM&P"],
        diameter_px=6.0,
    )
    figure = figure_sections({"s1": section}, order=["IM&P", "CX"])
    circles = figure.axes[1].collections
    centres = [c.get_paths()[0].get_extents().get_points().mean(axis=0).tolist() for c in circles]
    assert centres == [[30.0, 5.0], [10.0, 20.0]]
    with pytest.raises(InputError, match="2 spots and 1 labels"):
        figure_sections({"s1": SectionOverlay(image=section.image, xy=section.xy, labels=["CX"], diameter_px=6.0)})


def test_rows_show_their_own_patches_of_any_size_and_number():
    small = RANDOM.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    real = patches(3)
    figure = figure_rows({"slide 1": real, "generated, gan": small})
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert len(shown) == 5
    assert (np.asarray(shown[1]) == real[1]).all()
    assert (np.asarray(shown[4]) == small[1]).all()
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["slide 1", "generated, gan"]
    with pytest.raises(InputError, match="some in every row"):
        figure_rows({"slide 1": real, "none": small[:0]})


def test_every_figure_is_drawn_without_leaving_a_trace(tmp_path):
    before = dict(rcParams)
    figure = figure_factor_scatter(
        np.arange(5.0), {"real": np.arange(5.0), "generated": np.ones(5)}, list("aabbb"),
        factor_name="lumen", statistic_name="lumen_share",
    )  # fmt: skip
    save_figure(figure, tmp_path / "x.png", dpi=50)
    assert dict(rcParams) == before
    assert image.imread(io.BytesIO((tmp_path / "x.png").read_bytes())).std() > 0
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
