"""No answer is lost or overwritten, whatever happens between page and disk."""

import sqlite3
import threading
from contextlib import closing

import pytest

from g2m_eval.errors import InputError
from g2m_eval.reader_study.store import Answer, AnswerStore


def test_answer_given_last_counts_and_history_keeps_all(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    store.save("a", [Answer("1", "x", "real", 10), Answer("2", "x", "generated", 20), Answer("3", "y", "real", 30)])
    store.save("b", [Answer("1", "x", "real", 40)])
    assert store.current("a") == {"x": ("generated", 20), "y": ("real", 30)}
    assert store.current("b") == {"x": ("real", 40)}
    assert store.history()["answer"].tolist() == ["real", "generated", "real", "real"]


def test_answer_that_waited_for_a_connection_does_not_replace_a_later_one(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    store.save("a", [Answer("later", "x", "generated", 20)])
    store.save("a", [Answer("earlier", "x", "real", 10)])
    assert store.current("a") == {"x": ("generated", 20)}


def test_answer_sent_twice_is_one(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    for _ in range(3):
        store.save("a", [Answer("1", "x", "real", 10)])
    assert len(store.history()) == 1


def test_answers_outlive_the_process_that_took_them(tmp_path):
    AnswerStore(tmp_path / "answers.sqlite").save("a", [Answer("1", "x", "real", 10)])
    assert AnswerStore(tmp_path / "answers.sqlite").current("a") == {"x": ("real", 10)}


def test_many_writers_at_once(tmp_path):
    path = tmp_path / "answers.sqlite"
    AnswerStore(path)

    def write(reader):
        store = AnswerStore(path)
        for number in range(10):
            store.save(reader, [Answer(str(number), f"image {number}", "real", number)])

    threads = [threading.Thread(target=write, args=(f"reader {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(AnswerStore(path).history()) == 60


def test_answers_are_their_owners_alone_to_read(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    store.save("a", [Answer("1", "x", "real", 10)])
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_file_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE answers (question TEXT)")
    with pytest.raises(InputError, match="cannot be read as answers"):
        AnswerStore(path)
    path.write_text("notes " * 300)
    with pytest.raises(InputError, match="cannot be read as answers"):
        AnswerStore(path)
    assert path.read_text() == "notes " * 300
    with pytest.raises(InputError, match="cannot keep answers there"):
        AnswerStore(tmp_path / "nowhere" / "answers.sqlite")


def test_what_is_no_answer_is_refused_and_those_before_it_stay(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    with pytest.raises(sqlite3.IntegrityError):
        store.save("a", [Answer("1", "x", "real", 10), Answer("2", "y", "perhaps", 11)])
    assert store.current("a") == {"x": ("real", 10)}
