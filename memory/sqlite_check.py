"""What can be wrong inside a memory's file, though SQLite opens it."""

from __future__ import annotations

import sqlite3

from .errors import MemoryFileError
from .sqlite_rows import NOTE, to_note

# Each finds the ids of the notes of which its sentence is true.
_RULES = {
    "{} has lost a revision": (
        "SELECT id FROM notes n WHERE head + 1 <> (SELECT count(*) FROM revisions WHERE note = n.id)"
    ),
    "{} holds evidence that is no trial": (
        "SELECT e.note FROM evidence e JOIN notes t ON t.id = e.trial WHERE t.kind <> 'trial' GROUP BY e.note"
    ),
    "{} has a trial's row but is no trial": (
        "SELECT t.id FROM trials t JOIN notes n ON n.id = t.id WHERE n.kind <> 'trial'"
    ),
    "{} is in the full-text index as it was, or as it may not be": (
        "SELECT coalesce(n.id, 'row ' || w.rowid) FROM words w LEFT JOIN notes n ON n.seq = w.rowid "
        "WHERE n.id IS NULL OR n.forgotten OR n.kind = 'trial' OR w.revision <> n.head"
    ),
    "{} is missing from the full-text index": (
        "SELECT id FROM notes WHERE NOT forgotten AND kind <> 'trial' AND seq NOT IN (SELECT rowid FROM words)"
    ),
    "{} has a vector of another size than its model": (
        "SELECT note FROM vectors v WHERE length(vector) <> 4 * dim "
        "OR dim <> (SELECT dim FROM vectors WHERE model = v.model LIMIT 1)"
    ),
}


def faults(connection: sqlite3.Connection) -> list[str]:
    """A sentence for each fault; of a damaged file only what SQLite says."""
    damage = [str(row[0]) for row in connection.execute("PRAGMA quick_check") if row[0] != "ok"]
    return damage or [*_dangling(connection), *_broken_rules(connection), *_unreadable(connection)]


def _dangling(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchall()
    return [f"row {row} of {table} names what is not in {parent}" for table, row, parent, _ in rows]


def _broken_rules(connection: sqlite3.Connection) -> list[str]:
    connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    return [sentence.format(note) for sentence, sql in _RULES.items() for (note,) in connection.execute(sql)]


def _unreadable(connection: sqlite3.Connection) -> list[str]:
    found = []
    for row in connection.execute(NOTE):
        try:
            to_note(row)
        except MemoryFileError as error:
            found.append(str(error))
    return found
