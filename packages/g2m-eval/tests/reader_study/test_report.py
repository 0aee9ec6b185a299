"""What a report shows of a reader study."""

import pytest
from matplotlib.text import Text

from g2m_eval.errors import InputError
from g2m_eval.intervals import Interval
from g2m_eval.reader_study.layout import ANSWERS, read_key
from g2m_eval.reader_study.score import score_study
from g2m_eval.reader_study.store import Answer, AnswerStore
from g2m_eval.report.page import write_report
from g2m_eval.report.published import READER_SCORES
from g2m_eval.report.reader_study import reader_section, reader_table, reader_tiles, reader_warnings


@pytest.fixture
def scored(make_study, simulate_readers):
    folder = make_study(n_images=20, readers=4)
    simulate_readers(folder, d_prime=1.0, seed=0)
    return folder, score_study(folder, times=100)


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_table_2_stands_beside_the_published_values(scored):
    _, scores = scored
    table = reader_table(scores, READER_SCORES).set_index("measure")
    assert table.loc["accuracy", "published"] == "0.486 (0.095)"
    assert table.loc["d′", "published"] == "–"
    mean, sd = scores.summary.loc[0, ["mean", "sd"]]
    assert table.loc["accuracy", "mean (SD)"] == f"{mean:.3f} ({sd:.3f})"
    assert "published" not in reader_table(scores)


def test_section_is_written_whole(scored, tmp_path):
    folder, scores = scored
    section = reader_section(scores, folder, published=READER_SCORES)
    write_report(
        tmp_path / "report", title="x", metrics=scores.metrics, sections=[section], summary=reader_tiles(scores)
    )
    assert {"table-2.csv", "readers.csv"} <= {path.name for path in (tmp_path / "report").iterdir()}
    readers, difficulty = (figure.figure for figure in section.figures)
    assert "reader 03" in words(readers)
    assert "published" in words(readers)
    shown = words(difficulty)
    assert shown.count(" right") == 20  # every image once, since there are no more
    assert shown.count("real\n") == shown.count("generated\n") == 10


def test_hard_images_are_shown_as_they_are(scored):
    folder, scores = scored
    first = reader_section(scores, folder).figures[1].figure.subfigs[0].axes[0]
    hardest = scores.images.iloc[0]
    assert first.get_xlabel() == f"{hardest['truth']}\n{hardest['correct']} of 4 right"
    noise = first.images[0].get_array().std() > 0 and len({*map(tuple, first.images[0].get_array().reshape(-1, 3))}) > 1
    assert noise == (hardest["truth"] == "generated")  # real ones are of one colour here


def test_what_is_not_defined_is_a_dash(make_study, simulate_readers):
    folder = make_study(n_images=12, readers=1)
    store, key = AnswerStore(folder / ANSWERS), read_key(folder)["images"]
    store.save("reader-01", [Answer(f"{n:032x}", image, "real", n + 1) for n, image in enumerate(sorted(key))])
    section = reader_section(score_study(folder, times=20), folder)
    table = section.tables[0].table.set_index("measure")
    assert table.loc["precision"].tolist()[:2] == ["–", "–"]  # nobody said "generated"
    assert table.loc["accuracy", "mean (SD)"] == "0.500"
    assert "nan" not in table.to_string() + section.text


def test_damaged_picture_is_told(scored):
    folder, scores = scored
    picture = next((folder / "images").iterdir())
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(InputError, match=f"{picture.stem} of the study is damaged"):
        reader_section(scores, folder)


def test_warnings_say_what_is_not_shown(make_study, simulate_readers):
    folder = make_study(n_images=12, readers=3)
    simulate_readers(folder, d_prime=0.0, seed=0, most=9)
    scores = score_study(folder, unfinished=True, times=100)
    told = " ".join(reader_warnings(scores))
    assert "Only 3 readers" in told
    assert "like one who left out none: reader-01, reader-02, reader-03" in told
    assert scores.mean("accuracy").overlaps(Interval(value=0.5, low=0.5, high=0.5))
    assert "absence of a difference is not shown" in told
