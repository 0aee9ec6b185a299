"""Answers on disk: as they are given, none ever changed or removed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd

from g2m_eval.errors import InputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    reader      TEXT NOT NULL,
    id          TEXT NOT NULL,     -- made by the page: the same answer sent again is the same row
    image       TEXT NOT NULL,
    answer      TEXT NOT NULL CHECK (answer IN ('real', 'generated')),
    given_at    INTEGER NOT NULL,  -- ms, the page's clock, always after the answer it replaces
    received_at INTEGER NOT NULL,  -- ms, the server's clock
    PRIMARY KEY (reader, id)
)
"""
_COUNTS = """
SELECT image, answer, given_at FROM (
    SELECT *, row_number() OVER (PARTITION BY image ORDER BY given_at DESC, received_at DESC, rowid DESC) AS age
    FROM answers WHERE reader = ?
) WHERE age = 1
"""


@dataclass(frozen=True)
class Answer:
    """What a reader said about an image."""

    id: str
    """Made by the page, unique among a reader's answers."""
    image: str
    answer: str
    """real or generated."""
    given_at: int
    """When, in ms."""


class AnswerStore:
    """An SQLite file of answers, one row each; of several for one image, the one given last counts.

    Each call opens its own connection and each answer is a transaction of its own, on disk before the call returns, so
    that threads, several servers and a crash at any time are harmless. Not for network drives (SQLite's
    write-ahead log needs shared memory). A new file is its owner's alone to read.

    Raises
    ------
    InputError
        The file is none of answers, or can be neither read nor made.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.path.touch(mode=0o600)  # SQLite gives its log the same mode
        except OSError as error:
            raise InputError(f"{path}: cannot keep answers there ({error.strerror})") from error
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)
            connection.execute("SELECT reader, id, image, answer, given_at, received_at FROM answers LIMIT 1")

    def save(self, reader: str, answers: Iterable[Answer]) -> None:
        """Add answers; one whose id is there already is left alone, so that sending again is harmless."""
        with self._connection() as connection:
            for answer in answers:
                row = (reader, *astuple(answer), time.time_ns() // 1_000_000)
                connection.execute(
                    "INSERT INTO answers (reader, id, image, answer, given_at, received_at) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (reader, id) DO NOTHING",
                    row,
                )

    def current(self, reader: str) -> dict[str, tuple[str, int]]:
        """Give a reader's answer to each image answered, and when it was given (ms)."""
        with self._connection() as connection:
            return {image: (answer, given_at) for image, answer, given_at in connection.execute(_COUNTS, (reader,))}

    def history(self) -> pd.DataFrame:
        """Give every answer ever given, changed ones too, in the order they were stored."""
        with self._connection() as connection:
            return pd.read_sql_query("SELECT * FROM answers ORDER BY rowid", connection)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # without a transaction of Python's own (isolation_level None) every INSERT commits by itself
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.IntegrityError:
            raise  # the caller's answer, not the file
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path}: cannot be read as answers of a reader study ({error})") from error
