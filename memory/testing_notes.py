"""Notes, hard texts and small steps for the tests of a `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .note import Author, Kind, Note, Proposal, fresh_id
from .store import Filter, Store

MODEL = Author(by="model", name="tiny", prompt="abc")
EARLY = datetime(2024, 5, 17, 12, 30, 0, 123_456, tzinfo=UTC)
NOWHERE = "lesson-000000"
# What has broken stores before: SQL, full-text syntax, control characters, other scripts, marks, emoji, JSON.
HARD_TEXTS = (
    "'; DROP TABLE notes; --",
    'x" OR 1=1 --',
    '"unbalanced AND (NEAR OR NOT * ^ : -',
    "\x01\x1b[31m\x7f\r\n\t\u2028 tail",
    "学习率太高，损失变成了 NaN",
    "обучение разошлось на третьем шаге",
    "تعلم الآلة \u200f مع التسرب",
    "हिन्दी में सीखने की दर",
    "e\u0301 is not é here, nor ﬁ fi",
    "🙂👩‍👩‍👧 𝔘𝔫𝔦",
    '{"json": [1, null, "\\u0000"]}',
    "%s %d {} {0} ${HOME} `id`",
    "",
)


def note(kind: Kind = Kind.LESSON, content: str = "a warm start helps", **fields: Any) -> Note:
    """A note with a fresh id."""
    return Note(id=fresh_id(kind), kind=kind, content=content, **fields)


def proposal(of: Note, content: str | None = None, **fields: Any) -> Proposal:
    """A model's change of a note as it was read."""
    return Proposal(note=of.id, revision=of.revision, content=content, **{"author": MODEL, **fields})


def directions(count: int, seed: int = 0) -> np.ndarray:
    """Random vectors of length 1: (count, 8) float32."""
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def embed(store: Store, notes: Iterable[Note], vectors: Iterable[np.ndarray]) -> None:
    """Keep a vector for each note's revision."""
    store.put_vectors("m", {(one.id, one.revision): v for one, v in zip(notes, vectors, strict=True)})


def state(store: Store) -> tuple[Any, ...]:
    """All that the memory shows, to tell whether a write has written anything."""
    notes = list(store.notes())
    histories = [store.revisions(one.id) for one in notes]
    return notes, histories, store.links([one.id for one in notes]), store.journal(1000)


@contextmanager
def refused(store: Store, error: type[Exception], *words: str) -> Iterator[None]:
    """The block must raise `error`, with these words in its message, and must write nothing."""
    before, caught = state(store), None
    try:
        yield
    except error as raised:
        caught = str(raised)
    assert caught is not None, f"{error.__name__} must be raised"
    assert all(word in caught for word in words), f"{words} must be in {caught}"
    assert state(store) == before, "nothing may be written"


def found(store: Store, query: str, where: Filter | None = None) -> list[str]:
    """Ids that the full-text search gives."""
    return [one for one, _ in store.matching(query, 100, where or Filter())]
