"""Which notes a model has read: so that what it made of them is not asked for twice."""

from __future__ import annotations

import sqlite3

from .errors import NoteMissing
from .filters import conditions
from .note import Note, clean
from .sqlite_rows import LATEST, to_note
from .store import Filter


def put(connection: sqlite3.Connection, reader: str, note: str, revision: int, outcome: str) -> None:
    """Keep that a reader has read a revision, and what came of it; a later reading of it takes the place of the first.

    Raises:
        NoteMissing: there is no such revision.
    """
    key = (clean(note), int(revision))
    if connection.execute("SELECT 1 FROM revisions WHERE note = ? AND revision = ?", key).fetchone() is None:
        raise NoteMissing(f"a reading must be of a revision that exists, but there is no {revision} of {note!r}")
    connection.execute("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", (*key, clean(reader), clean(outcome)))


def unread(connection: sqlite3.Connection, reader: str, where: Filter, limit: int) -> list[Note]:
    """Notes that pass the filter of whose content the reader has read no revision, oldest first."""
    passing, values = conditions(where)
    rows = connection.execute(
        f"{LATEST} WHERE {passing} AND NOT EXISTS (SELECT 1 FROM readings g JOIN revisions p ON p.note = g.note "
        "AND p.revision = g.revision WHERE g.note = n.id AND g.reader = ? AND p.content = r.content) "
        "ORDER BY n.created, n.seq LIMIT ?",
        (*values, clean(reader), max(limit, 0)),
    )
    return [to_note(row) for row in rows.fetchall()]
