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
from .errors import Refused
from .note import CODE, Author, Kind, Link, Note, PastTrial, clean
from .sqlite_notes import Hidden, NoteRows
from .sqlite_rows import CHANGE, LINK_IS, NOTE, to_change, to_json, to_microseconds, to_note, trial_row
from .store import Change


@dataclass
class Effects:
    """What a change did. Notes by id, links and trial rows by number."""

    added: list[str] = field(default_factory=list)
    revised: dict[str, int] = field(default_factory=dict)  # to the revision that was the latest before
    forgotten: list[str] = field(default_factory=list)
    revived: dict[str, int] = field(default_factory=dict)  # to how they were hidden before
    linked: list[int] = field(default_factory=list)
    unlinked: list[int] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)

    def join(self, later: Effects) -> None:
        """Take in what a later part of the same change did. What a note was before its first change is what counts."""
        before = {*self.added, *self.forgotten, *self.revived}
        self.forgotten += [note for note in later.forgotten if note not in before]
        self.revived |= {note: how for note, how in later.revived.items() if note not in before}
        self.revised = later.revised | self.revised
        self.unlinked += [number for number in later.unlinked if number not in self.linked]
        self.added += later.added
        self.linked += later.linked
        self.trials += later.trials


class Writing(NoteRows):
    """A change within an open transaction. End it with `sign`, which enters it in the journal.

    Args:
        whole: the change of which this is a part, which is entered in its place.
    """

    def __init__(self, connection: sqlite3.Connection, whole: Writing | None = None) -> None:
        (number,) = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM journal").fetchone()
        super().__init__(connection, number)
        self._effects, self._whole = Effects(), whole

    def sign(self, what: str, author: Author = CODE) -> None:
        """Enter the change in the journal, unless it did nothing."""
        if self._whole is not None:
            self._whole._effects.join(self._effects)
        elif any(asdict(self._effects).values()):
            self._enter(what, author)

    def add(self, notes: Iterable[Note]) -> list[str]:
        """Add the notes that are new, each at revision 0, and those whose adding was undone; their ids."""
        notes = list(notes)
        new = [note.model_copy(update={"revision": 0}) for note in notes if self._enrol(note)]
        added = {note.id for note in new}
        again = {note.id: note for note in notes if note.id not in added and self._is_undone(note)}
        # Notes may name others that come after them: they are looked up once all are there.
        self.require(note.task for note in (*new, *again.values()) if note.task)
        for note in new:
            self._append(note)
            fulltext.index(self._connection, note.id)
        for note in again.values():
            self._add_again(note)
        for note in (*new, *again.values()):
            self.check_evidence(note)
        self._effects.added += [note.id for note in new]
        return [name for name in dict.fromkeys(note.id for note in notes) if name in added or name in again]

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
            self._copy_vectors(note.id, note.revision, after.revision)
        self._set(note.id, "head", after.revision)
        self._effects.revised.setdefault(note.id, before.revision)
        return after

    def forget(self, note: str) -> None:
        """Hide a note, unless it is hidden."""
        note = self.latest(note).id
        if self.hidden(note) is Hidden.NO:
            self._set(note, "forgotten", Hidden.FORGOTTEN)
            self._effects.forgotten.append(note)

    def revive(self, note: str) -> None:
        """Bring a hidden note back."""
        note = self.latest(note).id
        if hidden := self.hidden(note):
            self._set(note, "forgotten", Hidden.NO)
            self._effects.revived[note] = hidden

    def unlink(self, link: Link) -> None:
        """Take a link away, if it is there."""
        self.require((link.source, link.target))
        key = (clean(link.source), clean(link.target), link.type)
        for (number,) in self._do(f"SELECT number FROM links WHERE {LINK_IS}", key).fetchall():
            self._remove("links", [number], 1)
            self._effects.unlinked.append(number)

    def undo(self, author: Author = CODE) -> Change | None:
        """Take back the latest change that is neither undone nor an undoing.

        Raises:
            Refused: this is part of another change.
        """
        if self._whole is not None:
            raise Refused("undoing must be a change of its own, but another one is being made; undo before or after")
        row = self._do(f"{CHANGE} WHERE undone = 0 AND undoes IS NULL ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            return None
        change = to_change(row)
        (effects,) = self._do("SELECT effects FROM journal WHERE number = ?", (change.number,)).fetchone()
        self._take_back(Effects(**json.loads(effects)))
        self._do("UPDATE journal SET undone = 1 WHERE number = ?", (change.number,))
        self._enter(f"undo: {change.what}", author, change.number)
        return replace(change, undone=True)

    def _take_back(self, effects: Effects) -> None:
        for note, revision in effects.revised.items():
            self.revise(to_note(self._do(f"{NOTE} WHERE n.id = ? AND r.revision = ?", (note, revision)).fetchone()))
        hidden = dict.fromkeys(effects.added, Hidden.UNDONE) | dict.fromkeys(effects.forgotten, Hidden.NO)
        for note, how in (hidden | effects.revived).items():
            self._set(note, "forgotten", how)
        self._remove("links", effects.linked, 1)
        self._remove("links", effects.unlinked, 0)
        self._remove("trials", effects.trials, 1)

    def _is_undone(self, note: Note) -> bool:
        kept = self._do("SELECT kind, forgotten FROM notes WHERE id = ?", (note.id,)).fetchone()
        return bool(kept == (note.kind, Hidden.UNDONE))

    def _add_again(self, note: Note) -> None:
        """Bring back a note whose adding was undone, with the words that it has now, after those that it had."""
        self._move(note)
        now = {name: value for name, value in note if name not in ("id", "kind", "revision", "time")}
        self.revise(self.latest(note.id), **now)
        self.revive(note.id)

    def _enter(self, what: str, author: Author, undoes: int | None = None) -> None:
        self._do(
            "INSERT INTO journal (number, time, what, author, effects, undoes) VALUES (?, ?, ?, ?, ?, ?)",
            (self._number, _now(), what, to_json(author), to_json(asdict(self._effects)), undoes),
        )


def _now() -> int:
    return to_microseconds(datetime.now(UTC))
