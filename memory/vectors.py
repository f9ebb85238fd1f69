"""Exact search over the vectors of one model, kept as one NumPy matrix that follows the file.

The matrix holds the newest vector of each note. A change of the file is read when the next search begins: vectors
above the last row that was read, and notes that a later change has touched. Both numbers only grow, and writers come
one after another, so that nothing can be missed, whichever process wrote it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .filters import hidden
from .store import Filter

_BATCH = 4096  # rows read at once: 6 MB of vectors of 384 dimensions
_KIND, _TASK, _STUDY = range(3)  # rows of `_facts`


def exactly(notes: Sequence[str], vectors: np.ndarray, vector: np.ndarray, k: int) -> list[tuple[str, float]]:
    """The `k` best by cosine, equal ones by id. `vectors` is (m, d), one of each note, `vector` is (d,)."""
    # Equal vectors must get equal cosines, which the order of additions in a product of matrices does not grant.
    found = vectors.astype(np.float64)
    cosines = (found * vector).sum(axis=1) / np.linalg.norm(found, axis=1)
    best = sorted(zip((-cosines).tolist(), notes, strict=True))[:k]
    return [(note, -cosine) for cosine, note in best]


class Matrix:
    """The vectors of one model, n of them, of d dimensions. Arrays have room for more; `len(self._ids)` is n."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._seen = 0  # number of the last vector that was read
        self._change = 0  # number of the last change that was read
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}  # of each id
        self._codes: dict[str | None, int] = {}  # of each kind, task and study
        self._vectors = np.empty((0, 0), np.float32)  # (n, d), each of length 1
        self._revisions = np.empty(0, np.int64)  # (n,) that the vector is of
        self._live = np.empty(0, np.bool_)  # (n,) of the latest revision, and not forgotten
        self._facts = np.empty((3, 0), np.int32)  # (3, n) codes of kind, task and study

    def __len__(self) -> int:
        return len(self._ids)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Follow the file to the state that the open transaction sees."""
        (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM journal").fetchone()
        if self._rows and newest > self._change:
            touched = connection.execute("SELECT id, head, forgotten FROM notes WHERE touched > ?", (self._change,))
            for note, head, forgotten in touched:
                row = self._rows.get(note)
                if row is not None:
                    self._live[row] = head == self._revisions[row] and not forgotten
        self._change = newest
        vectors = connection.execute(
            "SELECT v.number, n.id, n.head, n.forgotten, n.kind, n.task, n.study, v.vector "
            "FROM vectors v JOIN notes n ON n.id = v.note AND n.head = v.revision "
            "WHERE v.model = ? AND v.number > ? ORDER BY v.number",
            (self._model, self._seen),
        )
        while batch := vectors.fetchmany(_BATCH):
            self._take(batch)

    def search(
        self, connection: sqlite3.Connection, vector: np.ndarray, k: int, where: Filter
    ) -> list[tuple[str, float]]:
        """The `k` best of the notes that pass: (id, cosine), best first, equal ones by id. `vector` is (d,)."""
        rows = np.flatnonzero(self._passing(connection, where))
        if k <= 0 or not len(rows):
            return []
        if k < len(rows):
            rows = self._near(vector, k, rows)
        return exactly([self._ids[row] for row in rows], self._vectors[rows], vector, k)

    def _near(self, vector: np.ndarray, k: int, rows: np.ndarray) -> np.ndarray:
        """The rows that may be among the `k` best: by the fast product, with room for its rounding and for ties."""
        # Not `@`: what one core does at the speed of its memory is faster than waking the threads of BLAS for it.
        rough = np.einsum("nd,d->n", self._vectors[: len(self._ids)], vector.astype(np.float32))[rows]
        kth = rough[np.argpartition(rough, len(rough) - k)[len(rough) - k]]
        error = self._vectors.shape[1] * np.finfo(np.float32).eps  # the most by which two sums of d terms can be off
        near: np.ndarray = rows[rough >= kth - error]
        return near

    def _passing(self, connection: sqlite3.Connection, where: Filter) -> np.ndarray:
        passing = self._live[: len(self._ids)].copy()
        if where.kinds:
            passing &= self._holds(_KIND, where.kinds)
        if where.tasks:
            passing &= self._holds(_TASK, where.tasks) | self._named(where.tasks)
        if where.studies:
            passing &= self._holds(_STUDY, where.studies)
        if where.hidden_tasks:
            passing &= ~self._named(hidden(connection, where))
        return passing

    def _holds(self, fact: int, values: Iterable[str]) -> np.ndarray:
        codes = [self._codes[value] for value in values if value in self._codes]
        return np.isin(self._facts[fact, : len(self._ids)], codes)

    def _named(self, notes: Iterable[str]) -> np.ndarray:
        named = np.zeros(len(self._ids), np.bool_)
        named[[self._rows[note] for note in notes if note in self._rows]] = True
        return named

    def _take(self, batch: list[Any]) -> None:
        """Write rows of `refresh` into the matrix: a known note's in its place, a new one's at the end."""
        numbers, notes, heads, forgotten, *facts, blobs = zip(*batch, strict=True)
        vectors = np.frombuffer(b"".join(blobs), "<f4").reshape(len(batch), -1)
        new = [note for note in notes if note not in self._rows]
        self._grow(len(self._ids) + len(new), vectors.shape[1])
        for note in new:
            self._rows[note] = len(self._ids)
            self._ids.append(note)
        rows = [self._rows[note] for note in notes]
        self._vectors[rows] = vectors
        self._revisions[rows] = heads
        self._live[rows] = np.logical_not(forgotten)
        for fact, values in enumerate(facts):
            self._facts[fact, rows] = [self._codes.setdefault(value, len(self._codes)) for value in values]
        self._seen = numbers[-1]

    def _grow(self, rows: int, dimensions: int) -> None:
        room = len(self._live)
        if rows <= room:
            return
        # By half, so that a note at a time costs one copy of the matrix in very many.
        more = max(rows, room + room // 2) - room
        old = self._vectors if room else np.empty((0, dimensions), np.float32)
        self._vectors = np.concatenate([old, np.empty((more, dimensions), np.float32)])
        self._revisions = np.concatenate([self._revisions, np.zeros(more, np.int64)])
        self._live = np.concatenate([self._live, np.zeros(more, np.bool_)])
        self._facts = np.concatenate([self._facts, np.zeros((3, more), np.int32)], axis=1)
