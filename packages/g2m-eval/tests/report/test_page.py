import json
import re

import numpy as np
import pandas as pd
import pytest

from g2m_eval.errors import InputError
from g2m_eval.figures.style import styled
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile, plain_values, write_report


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
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["figures", "metrics.json", "report.html"]
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
