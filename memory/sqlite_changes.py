"""One change of the memory in the making: what it writes, and what its undoing will need."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from . import fulltext
from .errors import NoteMissing, Refused
from .note import CODE, Author, Kind, Link, Note, PastTrial, clean
from .sqlite_rows import (
    CHANGE,
    LATEST,
    LINK_IS,
    NOTE,
    ONE_OF,
    ids,
    revision_row,
    to_change,
    to_json,
    to_microseconds,
    to_note,
    trial_row,
)
from .store import Change


@dataclass
class Effects:
    """What a change did. Notes by id, links and trial rows by number."""

    added: list[str] = field(default_factory=list)
    revised: dict[str, int] = field(default_factory=dict)  # to the revision that was the latest before
    forgotten: list[str] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    unlinked: list[int] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)


class Writing:
    """A change within an open transaction. End it with `sign`, which enters it in the journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self._do = connection, connection.execute
        (self._number,) = self._do("SELECT coalesce(max(number), 0) + 1 FROM journal").fetchone()
        self._effects = Effects()

    def sign(self, what: str, author: Author = CODE) -> None:
        """Enter the change in the journal, unless it did nothing."""
        if any(asdict(self._effects).values()):
            self._enter(what, author)

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

    def add(self, notes: Iterable[Note]) -> list[str]:
        """Add the notes that are new, each at revision 0; their ids."""
        new = [note.model_copy(update={"revision": 0}) for note in notes if self._enrol(note)]
        # Notes may name others that come after them: they are looked up once all are there.
        self.require(note.task for note in new if note.task)
        for note in new:
            self._append(note)
            fulltext.index(self._connection, note.id)
        for note in new:
            self.check_evidence(note)
        self._effects.added += [note.id for note in new]
        return [note.id for note in new]

    def link(self, links: Iterable[Link]) -> int:
        """Make the links that are not there; how many those are."""
        links, before = list(links), len(self._effects.linked)
        self.require(end for link in links for end in (link.source, link.target))
        for link in links:
            key = (clean(link.source), clean(link.target), link.type)
            if self._do(f"SELECT 1 FROM links WHERE {LINK_IS}", key).fetchone() is None:
                made = self._do(
                    "INSERT INTO links (source, target, type, author, time) VALUES (?, ?, ?, ?, ?)",
                    (*key, to_json(link.author), _now()),
                )
                self._effects.linked.append(made.lastrowid or 0)
        return len(self._effects.linked) - before

    def add_trials(self, trials: Iterable[PastTrial]) -> None:
        """Keep the rows of trials that have none.

        Raises:
            NoteMissing: a row's note or task does not exist.
            Refused: a row's note is not of kind trial.
        """
        trials = list(trials)
        self.require(name for trial in trials for name in (trial.id, trial.task))
        for trial in trials:
            kind = self.latest(trial.id).kind
            if kind is not Kind.TRIAL:
                raise Refused(f"a trial's row must belong to a note of kind trial, but {trial.id} is a {kind}")
            if self._do("SELECT 1 FROM trials WHERE id = ? AND removed = 0", (trial.id,)).fetchone() is None:
                made = self._do("INSERT INTO trials (id, task, time, row) VALUES (?, ?, ?, ?)", trial_row(trial))
                self._effects.trials.append(made.lastrowid or 0)

    def revise(self, note: Note, **changes: Any) -> Note:
        """Write `note`, a revision that exists, with changes as the next revision.

        Raises:
            Refused: a change breaks a rule of notes: text that is too long.
        """
        before = self.latest(note.id)
        # A clock that was set back must not put a revision before the one that it follows.
        time = max(datetime.now(UTC), before.time)
        try:
            after = Note.model_validate({**dict(note), **changes, "revision": before.revision + 1, "time": time})
        except ValidationError as error:
            raise Refused(f"a note must keep to the limits of its fields, but {note.id} would not: {error}") from error
        self._append(after)
        if after.text == note.text:
            self._do(
                "INSERT INTO vectors (note, revision, model, dim, vector) "
                "SELECT note, ?, model, dim, vector FROM vectors WHERE note = ? AND revision = ?",
                (after.revision, note.id, note.revision),
            )
        self._set(note.id, "head", after.revision)
        self._effects.revised.setdefault(note.id, before.revision)
        return after

    def forget(self, note: str) -> None:
        """Hide a note, unless it is hidden."""
        note = self.latest(note).id
        if not self._do("SELECT forgotten FROM notes WHERE id = ?", (note,)).fetchone()[0]:
            self._set(note, "forgotten", 1)
            self._effects.forgotten.append(note)

    def unlink(self, link: Link) -> None:
        """Take a link away, if it is there."""
        self.require((link.source, link.target))
        key = (clean(link.source), clean(link.target), link.type)
        for (number,) in self._do(f"SELECT number FROM links WHERE {LINK_IS}", key).fetchall():
            self._remove("links", [number], 1)
            self._effects.unlinked.append(number)

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

    def undo(self) -> Change | None:
        """Take back the latest change that is neither undone nor an undoing."""
        row = self._do(f"{CHANGE} WHERE undone = 0 AND undoes IS NULL ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            return None
        change = to_change(row)
        (effects,) = self._do("SELECT effects FROM journal WHERE number = ?", (change.number,)).fetchone()
        self._take_back(Effects(**json.loads(effects)))
        self._do("UPDATE journal SET undone = 1 WHERE number = ?", (change.number,))
        self._enter(f"undo: {change.what}", CODE, change.number)
        return replace(change, undone=True)

    def _take_back(self, effects: Effects) -> None:
        for note, revision in effects.revised.items():
            self.revise(to_note(self._do(f"{NOTE} WHERE n.id = ? AND r.revision = ?", (note, revision)).fetchone()))
        for note in effects.added:
            self._set(note, "forgotten", 1)
        for note in effects.forgotten:
            self._set(note, "forgotten", 0)
        self._remove("links", effects.linked, 1)
        self._remove("links", effects.unlinked, 0)
        self._remove("trials", effects.trials, 1)

    def _enrol(self, note: Note) -> bool:
        """Give a note its row, unless its id has one; whether it is new."""
        belongs = (clean(note.task) or None, clean(note.study))
        made = self._do(
            "INSERT OR IGNORE INTO notes (id, kind, task, study, created, head, touched) VALUES (?, ?, ?, ?, ?, 0, ?)",
            (note.id, note.kind, *belongs, to_microseconds(note.time), self._number),
        )
        return made.rowcount == 1

    def _append(self, note: Note) -> None:
        self._do("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", revision_row(note))
        for trial in dict.fromkeys(note.evidence.trials if note.evidence else ()):
            self._do("INSERT INTO evidence VALUES (?, ?, ?)", (note.id, note.revision, clean(trial)))

    def _set(self, note: str, column: str, value: int) -> None:
        """Change what searches see of a note: its head, or whether it is forgotten."""
        self._do(f"UPDATE notes SET {column} = ?, touched = ? WHERE id = ?", (value, self._number, note))
        fulltext.index(self._connection, note)

    def _remove(self, table: str, numbers: list[int], removed: int) -> None:
        sql = f"UPDATE {table} SET removed = ? WHERE number {ONE_OF}"
        self._do(sql, (removed, to_json(numbers)))

    def _enter(self, what: str, author: Author, undoes: int | None = None) -> None:
        self._do(
            "INSERT INTO journal (number, time, what, author, effects, undoes) VALUES (?, ?, ?, ?, ?, ?)",
            (self._number, _now(), what, to_json(author), to_json(asdict(self._effects)), undoes),
        )


def missing(note: str) -> NoteMissing:
    """The error that names an unknown id."""
    return NoteMissing(f"an id must be that of a note, but there is no {note!r}; look it up by a search")


def _now() -> int:
    return to_microseconds(datetime.now(UTC))
