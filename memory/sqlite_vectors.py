"""Vectors in the file: what is kept, what lacks one. The search over them is in `vectors.py`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import numpy as np

from .errors import NoteMissing, Refused
from .note import Note, clean
from .sqlite_rows import LATEST, to_note


def put(connection: sqlite3.Connection, model: str, vectors: Mapping[tuple[str, int], np.ndarray]) -> None:
    """Keep the vectors of revisions; a newer one of the same revision takes the place of the older.

    Raises:
        NoteMissing: a revision that does not exist.
        Refused: a vector of another size, or without a direction.
    """
    size = dimensions(connection, model)
    for (name, revision), vector in vectors.items():
        note, revision = clean(name), int(revision)
        found = connection.execute("SELECT 1 FROM revisions WHERE note = ? AND revision = ?", (note, revision))
        if found.fetchone() is None:
            raise NoteMissing(f"a vector must be of a revision that exists, but there is no {revision} of {note!r}")
        size = np.size(vector) if size is None else size
        connection.execute(
            "INSERT OR REPLACE INTO vectors (note, revision, model, dim, vector) VALUES (?, ?, ?, ?, ?)",
            (note, revision, model, size, unit(vector, size).astype("<f4").tobytes()),
        )


def dimensions(connection: sqlite3.Connection, model: str) -> int | None:
    """The size of a model's vectors here; None when there is none."""
    row = connection.execute("SELECT dim FROM vectors WHERE model = ? LIMIT 1", (model,)).fetchone()
    return None if row is None else int(row[0])


def unit(vector: np.ndarray, size: int) -> np.ndarray:
    """The vector at length 1: (size,) float64.

    Raises:
        Refused: another size, or no direction.
    """
    exact = np.asarray(vector, np.float64)
    if exact.shape != (size,):
        raise Refused(f"vectors of one model must have one size, ({size},) here, but got {exact.shape}; embed it anew")
    length = float(np.linalg.norm(exact))
    if not 0.0 < length < np.inf:
        raise Refused(f"a vector must have a direction, but this one's length is {length}; embed it anew")
    unit: np.ndarray = exact / length
    return unit


def lacking(connection: sqlite3.Connection, model: str, since: int, limit: int) -> tuple[list[Note], int]:
    """Notes that can be searched but have no vector of the model, and the number to give as `since` the next time.

    No note that lacks one was last touched by change `since` or before: a listing costs what is new, not all there is.
    """
    rows = connection.execute(
        f"{LATEST} WHERE n.touched > ? AND n.forgotten = 0 AND n.kind <> 'trial' AND NOT EXISTS "
        "(SELECT 1 FROM vectors v WHERE v.note = n.id AND v.revision = n.head AND v.model = ?) "
        "ORDER BY n.touched, n.seq LIMIT ?",
        (since, model, limit),
    )
    found = [to_note(row) for row in rows.fetchall()]
    if found:
        done = connection.execute("SELECT touched - 1 FROM notes WHERE id = ?", (found[0].id,))
    else:
        done = connection.execute("SELECT coalesce(max(number), 0) FROM journal")
    return found, int(done.fetchone()[0])
