"""The search by words leaves most notes unranked, and must answer as if it had ranked them all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.memory import fulltext
from luthier.memory.note import Kind, Note
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter

NOTES, VOCABULARY = 600, 120
STUDIES = ("", "a", "b")
ALL = "SELECT n.id, -bm25(words) FROM words JOIN notes n ON n.seq = words.rowid WHERE words MATCH ?"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Notes of 1 to 40 words whose frequency falls with their rank; every tenth is forgotten."""
    rng, share = np.random.default_rng(0), 1 / np.arange(1, VOCABULARY + 1)
    store = SQLiteStore(tmp_path_factory.mktemp("words") / "memory.db")
    texts = [rng.choice(VOCABULARY, rng.integers(1, 41), p=share / share.sum()) for _ in range(NOTES)]
    notes = [
        Note(
            id=f"lesson-{number:06d}",
            kind=Kind.LESSON,
            content=" ".join(f"w{word}" for word in words),
            study=STUDIES[number % 3],
        )
        for number, words in enumerate(texts)
    ]
    store.add(notes)
    for note in notes[::10]:
        store.forget(note.id)
    store.close()
    with closing(sqlite3.connect(store.path)) as opened:
        yield opened


@given(
    st.lists(st.integers(0, VOCABULARY + 5), min_size=1, max_size=12),
    st.integers(1, 60),
    st.sampled_from([Filter(), Filter(studies=("a",))]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_best_are_those_of_all_ranked(
    connection: sqlite3.Connection, asked: list[int], k: int, where: Filter
) -> None:
    query = " ".join(f"w{word}" for word in asked)
    every = ALL + (" AND n.study = 'a'" if where.studies else "")
    scores = dict(connection.execute(every, (" OR ".join(f'"{term}"' for term in fulltext.terms(query)),)))
    found = fulltext.search(connection, query, k, where)
    assert [score for _, score in found] == pytest.approx(sorted(scores.values(), reverse=True)[:k])
    assert [score for _, score in found] == pytest.approx([scores[note] for note, _ in found])
    assert len({note for note, _ in found}) == len(found)


def test_common_words_are_left_out_until_the_last_of_the_best_can_be_told() -> None:
    held, notes = [100, 2_000, 50_000, 90_000], 100_000
    (size, limit), *_ = fulltext._cuts(held, notes, 50)
    assert size == 2
    assert 0 < limit < fulltext._weight(held[0], notes)
    assert list(fulltext._cuts(held[2:], notes, 50)) == []  # nothing rare to start from
    assert list(fulltext._cuts([1, *held[2:]], notes, 50)) == []  # too few notes have the rare one


def test_a_query_of_thousands_of_words_is_answered(connection: sqlite3.Connection) -> None:
    query = " ".join(f"w{word} x{word}" for word in range(4_000))
    assert len(fulltext.search(connection, query, 5, Filter())) == 5


def test_a_common_word_that_is_said_again_and_again_beats_a_rare_one_in_long_notes(tmp_path: Path) -> None:
    """There the likely score of the last of the best is far from the true one, and the first try must not be taken."""
    long = "rare " + " ".join(f"filler{number}" for number in range(300))
    texts = [long] * 60 + ["often " * 10] * 200 + ["a short note"] * 340
    store = SQLiteStore(tmp_path / "memory.db")
    store.add([Note(id=f"lesson-{n:06d}", kind=Kind.LESSON, content=text) for n, text in enumerate(texts)])
    found = store.matching("rare often", 50)
    store.close()
    assert {note for note, _ in found} <= {f"lesson-{n:06d}" for n in range(60, 260)}
