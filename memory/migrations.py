"""The schema of the memory's file, grown by numbered functions that are applied once each, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from .errors import MemoryFileError

APPLICATION_ID = 0x4C757468  # "Luth", in the header of the file

_FIRST = (
    """CREATE TABLE notes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the row of the full-text index
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        task TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED,
        study TEXT NOT NULL,
        created INTEGER NOT NULL,  -- microseconds since 1970, as every time here
        head INTEGER NOT NULL,
        forgotten INTEGER NOT NULL DEFAULT 0,  -- how it is hidden: `Hidden` in sqlite_notes.py
        touched INTEGER NOT NULL,  -- number of the change that last set head or forgotten
        FOREIGN KEY (id, head) REFERENCES revisions (note, revision) DEFERRABLE INITIALLY DEFERRED
    )""",
    "CREATE INDEX notes_by_age ON notes (created, seq)",
    "CREATE INDEX notes_by_task ON notes (task)",
    "CREATE INDEX notes_by_change ON notes (touched)",
    """CREATE TABLE revisions (
        note TEXT NOT NULL REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED,
        revision INTEGER NOT NULL,
        content TEXT NOT NULL,
        keywords TEXT NOT NULL,
        tags TEXT NOT NULL,
        context TEXT NOT NULL,
        evidence TEXT,
        recalled INTEGER NOT NULL,
        author TEXT NOT NULL,
        time INTEGER NOT NULL,
        PRIMARY KEY (note, revision)
    )""",
    "CREATE TRIGGER revisions_stay BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    "CREATE TRIGGER revisions_last BEFORE DELETE ON revisions BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    """CREATE TABLE evidence (
        note TEXT NOT NULL,
        revision INTEGER NOT NULL,
        trial TEXT NOT NULL REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED,
        PRIMARY KEY (note, revision, trial),
        FOREIGN KEY (note, revision) REFERENCES revisions (note, revision)
    )""",
    "CREATE INDEX evidence_by_trial ON evidence (trial)",
    """CREATE TABLE links (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL REFERENCES notes (id),
        target TEXT NOT NULL REFERENCES notes (id),
        type TEXT NOT NULL,
        author TEXT NOT NULL,
        time INTEGER NOT NULL,
        removed INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE UNIQUE INDEX links_once ON links (source, target, type) WHERE removed = 0",
    "CREATE INDEX links_by_source ON links (source)",
    "CREATE INDEX links_by_target ON links (target)",
    """CREATE TABLE trials (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL REFERENCES notes (id),
        task TEXT NOT NULL REFERENCES notes (id),
        time INTEGER NOT NULL,
        row TEXT NOT NULL,
        removed INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE UNIQUE INDEX trials_once ON trials (id) WHERE removed = 0",
    "CREATE INDEX trials_by_task ON trials (task)",
    """CREATE TABLE vectors (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with every write: a cache reads what is above its last
        note TEXT NOT NULL,
        revision INTEGER NOT NULL,
        model TEXT NOT NULL,
        dim INTEGER NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (note, revision, model),
        FOREIGN KEY (note, revision) REFERENCES revisions (note, revision)
    )""",
    "CREATE INDEX vectors_by_model ON vectors (model)",
    """CREATE TABLE journal (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        time INTEGER NOT NULL,
        what TEXT NOT NULL,
        author TEXT NOT NULL,
        effects TEXT NOT NULL,
        undone INTEGER NOT NULL DEFAULT 0,
        undoes INTEGER REFERENCES journal (number)
    )""",
    # `fulltext.py` cuts text into words itself; this tokenizer leaves them as they are, whatever their script.
    "CREATE VIRTUAL TABLE words USING fts5(text, revision UNINDEXED, tokenize = 'ascii')",
)


def first(connection: sqlite3.Connection) -> None:
    """Notes, revisions, links, trials, vectors, the journal and the full-text index."""
    for statement in _FIRST:
        connection.execute(statement)


def second(connection: sqlite3.Connection) -> None:
    """Notes that are hidden because their adding was undone are told from those that somebody forgot."""
    connection.execute(
        "UPDATE notes SET forgotten = 2 WHERE forgotten = 1 "
        "AND id IN (SELECT value FROM journal, json_each(effects, '$.added') WHERE undone = 1) "
        "AND id NOT IN (SELECT value FROM journal, json_each(effects, '$.forgotten') WHERE undone = 0)"
    )


def third(connection: sqlite3.Connection) -> None:
    """Which revisions a model has read."""
    connection.execute(
        """CREATE TABLE readings (
            note TEXT NOT NULL,
            revision INTEGER NOT NULL,
            reader TEXT NOT NULL,  -- the model and its prompt
            outcome TEXT NOT NULL,
            PRIMARY KEY (note, reader, revision),
            FOREIGN KEY (note, revision) REFERENCES revisions (note, revision)
        )"""
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    first,
    second,
    third,
)  # the version is how many were applied


def verify(connection: sqlite3.Connection, path: Path) -> None:
    """That the file is a memory of a version known here, or empty.

    Raises:
        MemoryFileError: when it is anything else.
    """
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        raise MemoryFileError(
            f"{path} must be a memory of Luthier, but is a database of something else (application id {application}); "
            "choose another path"
        )
    if version > len(MIGRATIONS):
        raise MemoryFileError(
            f"{path} must be of version {len(MIGRATIONS)} at most, but is of version {version}; upgrade Luthier"
        )


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether no migration is left to apply."""
    return _pragma(connection, "user_version") == len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a verified file up to date, in the transaction that is open on `connection`."""
    verify(connection, path)  # again: another process may have been here since
    for migration in MIGRATIONS[_pragma(connection, "user_version") :]:
        migration(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
