"""The rows of notes within an open transaction. What a change makes of them is in `sqlite_changes.py`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from enum import IntEnum

from . import fulltext
from .errors import NoteMissing, Refused
from .note import Note, clean
from .sqlite_rows import LATEST, ONE_OF, ids, revision_row, to_json, to_microseconds, to_note


class Hidden(IntEnum):
    """The column `forgotten` of a note. All but 0 keep it out of every search."""

    NO = 0
    FORGOTTEN = 1  # by somebody's will: adding it again changes nothing
    UNDONE = 2  # because its adding was taken back: adding it again brings it back


class NoteRows:
    """Notes and their revisions within a change, of which this is the `number` in the journal."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection, self._do = connection, connection.execute
        self._number = number

    def latest(self, note: str) -> Note:
        """A note as it stands by now.

        Raises:
            NoteMissing: an unknown id.
        """
        row = self._do(f"{LATEST} WHERE n.id = ?", (clean(note),)).fetchone()
        if row is None:
            raise missing(note)
        return to_note(row)

    def require(self, notes: Iterable[str]) -> None:
        """That there is a note for each id.

        Raises:
            NoteMissing: naming the first without one.
        """
        sql = "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM notes WHERE id = value) LIMIT 1"
        absent = self._do(sql, (ids(notes),)).fetchone()
        if absent is not None:
            raise missing(*absent)

    def hidden(self, note: str) -> Hidden:
        """Whether searches see a note, and why not."""
        return Hidden(self._do("SELECT forgotten FROM notes WHERE id = ?", (note,)).fetchone()[0])

    def check_evidence(self, note: Note) -> None:
        """That a note may hold the evidence that it holds.

        Raises:
            NoteMissing: an unknown trial.
            Refused: by the wrong author, of a recalled note, or from what is no trial of our own.
        """
        if note.evidence is None:
            return
        if note.author.by != "code":
            raise Refused(f"evidence must be by code, but that of {note.id} is by a {note.author.by}; leave it out")
        if note.recalled:
            raise Refused(f"evidence must be of what was not recalled, but {note.id} was; make a note of the trials")
        self.require(note.evidence.trials)
        wrong = self._do(
            "SELECT n.id, n.kind, r.recalled FROM notes n JOIN revisions r ON r.note = n.id AND r.revision = n.head "
            f"WHERE n.id {ONE_OF} AND (n.kind <> 'trial' OR r.recalled) LIMIT 1",
            (ids(note.evidence.trials),),
        ).fetchone()
        if wrong is not None:
            name, kind, recalled = wrong
            raise Refused(
                f"evidence must come from trials that were not recalled, but {name} is a {kind}"
                f"{', and recalled' if recalled else ''}; leave it out"
            )

    def _enrol(self, note: Note) -> bool:
        """Give a note its row, unless its id has one; whether it is new."""
        made = self._do(
            "INSERT OR IGNORE INTO notes (id, kind, task, study, created, head, touched) VALUES (?, ?, ?, ?, ?, 0, ?)",
            (note.id, note.kind, *_belongs(note), to_microseconds(note.time), self._number),
        )
        return made.rowcount == 1

    def _move(self, note: Note) -> None:
        """Have a note belong to the task and the study that it names."""
        self._do("UPDATE notes SET task = ?, study = ? WHERE id = ?", (*_belongs(note), note.id))

    def _append(self, note: Note) -> None:
        self._do("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", revision_row(note))
        for trial in dict.fromkeys(note.evidence.trials if note.evidence else ()):
            self._do("INSERT INTO evidence VALUES (?, ?, ?)", (note.id, note.revision, clean(trial)))

    def _copy_vectors(self, note: str, source: int, target: int) -> None:
        """Give a revision the vectors of an older one with the same text."""
        self._do(
            "INSERT INTO vectors (note, revision, model, dim, vector) "
            "SELECT note, ?, model, dim, vector FROM vectors WHERE note = ? AND revision = ?",
            (target, note, source),
        )

    def _set(self, note: str, column: str, value: int) -> None:
        """Change what searches see of a note: its head, or whether it is forgotten."""
        self._do(f"UPDATE notes SET {column} = ?, touched = ? WHERE id = ?", (value, self._number, note))
        fulltext.index(self._connection, note)

    def _remove(self, table: str, numbers: list[int], removed: int) -> None:
        sql = f"UPDATE {table} SET removed = ? WHERE number {ONE_OF}"
        self._do(sql, (removed, to_json(numbers)))


def missing(note: str) -> NoteMissing:
    """The error that names an unknown id."""
    return NoteMissing(f"an id must be that of a note, but there is no {note!r}; look it up by a search")


def _belongs(note: Note) -> tuple[str | None, str]:
    return clean(note.task) or None, clean(note.study)
