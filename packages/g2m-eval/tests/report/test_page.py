import io
import json
import re
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from g2m_eval.errors import InputError
from g2m_eval.figures.style import both_formats, png_bytes, styled, svg_bytes
from g2m_eval.report.markup import plain_values
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile, write_report


def one_figure(name="waves"):
    figure = styled(2.0, 1.0)
    figure.subplots().plot([0, 1], [1, 0])
    return ReportFigure(name=name, figure=figure, caption="A line, N = 2")


def written(directory, **changes):
    arguments = {
        "title": "Kidney",
        "metrics": {"models": {"gan": {"a": np.float32(0.5), "b": float("nan"), "c": np.array([1, 2])}}, "seed": 3},
        "sections": [
            ReportSection(
                title="Region IM&P",
                text="First.\n\nSecond.",
                figures=[one_figure()],
                tables=[ReportTable(table=pd.DataFrame({"k": ["x"], "v": [0.25]}), caption="by net 3f2a91, N = 7")],
            )
        ],
        "summary": [SummaryTile(label="Accuracy", value="57 %", note="real 97 %")],
        "warnings": ["Only 12 training pairs."],
        "provenance": {"version": "0.1.0", "settings": {"lr": 1e-3}},
    }
    write_report(directory, **(arguments | changes))
    return (directory / "report.html").read_text()


def test_a_report_is_one_page_that_needs_no_other_file(tmp_path):
    page = written(tmp_path / "report")
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == [
        ".report.json",
        "figures",
        "metrics.json",
        "provenance.json",
        "report.html",
    ]
    assert (tmp_path / "report/figures/waves.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    for text in (
        "57 %",
        "Only 12 training pairs.",
        "by net 3f2a91, N = 7",
        "First.",
        "Second.",
        "0.1.0",
        "settings.lr",
    ):
        assert text in page
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_metrics_are_plain_json_and_nan_is_null(tmp_path):
    written(tmp_path / "report")
    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    assert metrics == {"models": {"gan": {"a": 0.5, "b": None, "c": [1, 2]}}, "seed": 3}


@pytest.mark.parametrize("place", ["title", "lead", "warnings", "provenance", "metrics", "sections", "summary"])
def test_text_of_users_is_escaped_everywhere(tmp_path, place):
    bad = "<script>alert(1)</script>"
    figure = one_figure()
    value = {
        "title": bad,
        "lead": bad,
        "warnings": [bad],
        "provenance": {bad: bad},
        "metrics": {bad: bad},
        "summary": [SummaryTile(label=bad, value=bad, note=bad)],
        "sections": [
            ReportSection(
                title=bad,
                text=bad,
                figures=[ReportFigure(name="x", figure=figure.figure, caption=bad)],
                tables=[ReportTable(table=pd.DataFrame({bad: [bad]}), caption=bad)],
            )
        ],
    }[place]
    page = written(tmp_path / "report", **{place: value})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Region IM&amp;P" in page or place == "sections"


def test_an_older_report_is_replaced_and_anything_else_is_not(tmp_path):
    written(tmp_path / "report")
    page = written(tmp_path / "report", title="Second")
    assert "Second" in page
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        written(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        written(tmp_path / "file")


def test_a_file_that_a_person_put_beside_a_report_is_not_replaced_with_it(tmp_path):
    written(tmp_path / "report")
    (tmp_path / "report" / "figures" / "mine.png").write_text("keep")
    with pytest.raises(InputError, match=r"holds figures/mine\.png, which no report wrote"):
        written(tmp_path / "report")
    assert (tmp_path / "report" / "figures" / "mine.png").read_text() == "keep"


def test_a_report_never_replaces_one_of_another_kind(tmp_path):
    written(tmp_path / "report", provenance={"kind": "space"})
    written(tmp_path / "report", provenance={"kind": "space"}, title="Again")
    with pytest.raises(InputError, match=r"of another kind \(space\)"):
        written(tmp_path / "report", provenance={"kind": "paper"})
    assert "Again" in (tmp_path / "report/report.html").read_text()


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file"):
        written(tmp_path / "file" / "report")


def test_a_failure_leaves_nothing_and_keeps_the_older_report(tmp_path):
    written(tmp_path / "report", title="Old")
    with pytest.raises(TypeError):
        written(tmp_path / "report", summary=3)
    assert "Old" in (tmp_path / "report/report.html").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_figure_names_must_be_file_names_and_differ(tmp_path):
    for names, message in ((["../x"], "cannot be a file name"), (["a", "a"], "two figures")):
        sections = [ReportSection(title="s", figures=[one_figure(n) for n in names])]
        with pytest.raises(InputError, match=message):
            written(tmp_path / "report", sections=sections)
    assert not (tmp_path / "report").exists()


def test_plain_values_of_everything_metrics_may_hold(tmp_path):
    found = plain_values({1: (np.int64(2), np.bool_(True)), "p": tmp_path, "n": None, "inf": np.inf, "s": np.str_("x")})
    assert found == {"1": [2, True], "p": str(tmp_path), "n": None, "inf": None, "s": "x"}


def images_of(page):
    return re.findall(r'<img src="data:image/(\w+);base64,([^"]+)"[^>]* alt="([^"]*)"', page)


def test_figures_are_counted_through_the_page_unless_they_have_a_number(tmp_path):
    sections = [
        ReportSection(title="Space", figures=[one_figure("a"), replace(one_figure("b"), number="Figure C.1")]),
        ReportSection(title="Space", figures=[replace(one_figure("c"), alt="A falling line")]),
    ]
    page = written(tmp_path / "report", sections=sections)
    assert re.findall(r"<figcaption><b>([^<]+)</b>", page) == ["Figure 1.", "Figure C.1.", "Figure 3."]
    assert [alt for *_, alt in images_of(page)] == [
        "Figure 1. A line, N = 2",
        "Figure C.1. A line, N = 2",
        "A falling line",
    ]
    # two chapters of one title are two places, each reached from the contents
    targets = re.findall(r'<li><a href="#([^"]+)">Space', page)
    assert len(set(targets)) == 2
    assert all(page.count(f'id="{target}"') == 1 for target in targets)
    # the box that enlarges a figure is its own
    assert all(page.count(f'{kind}="zoom-{name}"') == 1 for kind in ("id", "for") for name in "abc")


def test_photographs_enter_the_page_smaller_than_their_files_and_look_the_same(tmp_path):
    generator = np.random.default_rng(0)
    figure = styled(4.0, 4.0)
    axes = figure.subplots()
    axes.imshow(generator.integers(80, 220, (120, 120, 3), dtype=np.uint8), interpolation="bicubic")
    photograph = ReportFigure(name="tissue", figure=figure, caption="Noise")
    page = written(tmp_path / "report", sections=[ReportSection(title="s", figures=[photograph, one_figure()])])
    (kind, content, _), (kind_of_lines, *_) = images_of(page)
    file = tmp_path / "report/figures/tissue.png"
    assert (kind, kind_of_lines) == ("webp", "png")
    assert len(content) < file.stat().st_size / 2
    shown, kept = (
        np.asarray(Image.open(source).convert("RGB"), dtype=float) for source in (io.BytesIO(b64decode(content)), file)
    )
    assert shown.shape == kept.shape
    assert np.abs(shown - kept).mean() < 8


def test_svg_needs_no_font_and_does_not_grow_with_the_number_of_spots(tmp_path):
    generator = np.random.default_rng(0)

    def svg_of(name, spots):
        figure = styled(3.0, 2.0)
        axes = figure.subplots()
        axes.scatter(*generator.random((2, spots)), s=2)
        axes.set_title("Spots")
        section = ReportSection(title="s", figures=[ReportFigure(name="x", figure=figure, caption="c")])
        written(tmp_path / name, sections=[section])
        return (tmp_path / name / "figures/x.svg").read_text()

    few, many = svg_of("few", 50), svg_of("many", 50_000)
    assert "<text" not in few
    assert "font-family" not in few
    assert few.count("<use") - many.count("<use") >= 50
    assert "<image" in many
    assert "<image" not in few
    assert len(many) < 200_000
    assert svg_bytes(one_figure().figure) == svg_bytes(one_figure().figure)


def test_png_and_svg_of_a_figure_share_their_places_and_leave_it_as_it_was():
    figure = one_figure().figure
    engine = figure.get_layout_engine()
    png, svg = both_formats(figure)
    assert png == png_bytes(one_figure().figure)
    assert type(figure.get_layout_engine()) is type(engine)
    places = figure.axes[0].get_position().bounds
    assert places[:2] != (0.125, 0.11)  # those that were found, not those it began with
    assert svg.startswith(b"<?xml")


def test_a_wide_table_scrolls_in_its_box_below_its_caption(tmp_path):
    table = ReportTable(table=pd.DataFrame({"k": ["x"]}), caption="All of it", name="table1", number="Table 1")
    page = written(tmp_path / "report", sections=[ReportSection(title="s", tables=[table])])
    assert (tmp_path / "report/table1.csv").read_text() == "k\nx\n"
    box = page[page.index('<figure class="table">') :]
    assert box.index("<b>Table 1.</b> All of it <code>table1.csv</code>") < box.index('<div class="scroll"')
    many = ReportTable(table=pd.DataFrame([range(12)]), caption="c")
    page = written(tmp_path / "report", sections=[ReportSection(title="s", tables=[many])])
    assert '<div class="scroll wide"' in page  # set smaller on paper


def test_provenance_is_a_file_beside_the_page(tmp_path):
    written(tmp_path / "report", provenance={"id": "abc", "settings": {"seed": np.int64(1), "x": float("nan")}})
    kept = json.loads((tmp_path / "report/provenance.json").read_text())
    assert kept == {"id": "abc", "settings": {"seed": 1, "x": None}}


def test_commands_in_text_are_set_as_code_and_still_escaped(tmp_path):
    section = ReportSection(title="s", text="Run `g2m eval <STUDY>` first.")
    page = written(tmp_path / "report", sections=[section], warnings=["See `x`."])
    assert "Run <code>g2m eval &lt;STUDY&gt;</code> first." in page
    assert "See <code>x</code>." in page


def test_missing_counts_are_dashes_and_counts_stay_whole(tmp_path):
    table = ReportTable(table=pd.DataFrame({"N": pd.array([1717, None], dtype="Int64")}), caption="c")
    page = written(tmp_path / "report", sections=[ReportSection(title="s", tables=[table])])
    assert re.findall(r'<td class="number">([^<]*)<', page) == ["1717", "–"]
