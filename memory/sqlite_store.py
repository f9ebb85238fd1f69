"""The memory in one SQLite file: notes, links, evidence, trials, vectors, full text and the journal of changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from . import sqlite_readings, sqlite_vectors
from .errors import Conflict, MemoryFileError
from .note import CODE, Author, Evidence, Link, Note, PastTrial, Proposal, clean
from .sidecar import FROM
from .sqlite_answers import SQLiteAnswers
from .sqlite_changes import Writing
from .sqlite_check import faults
from .store import Change


class SQLiteStore(SQLiteAnswers):
    """A `Store` in one file, made with its folder if it is not there.

    Args:
        sidecar_from: vectors of a model from which an index beside the file names what may be near, where `usearch` is
            installed; None always searches exactly.

    Raises:
        MemoryFileError: in every method, when the file is no memory, is damaged or cannot be written.
    """

    def __init__(self, path: Path | str, *, sidecar_from: int | None = FROM) -> None:
        super().__init__(Path(path), sidecar_from)
        self._whole: Writing | None = None  # what all changes are parts of, within `together`

    def add(self, notes: Sequence[Note], links: Sequence[Link] = (), trials: Sequence[PastTrial] = ()) -> list[str]:
        """See `Store.add`."""
        with self._change() as writing:
            new = writing.add(notes)
            made = writing.link(links)
            writing.add_trials(trials)
            what = _many(len(new), "note") if new else _many(made, "link") if made else "rows of trials"
            writing.sign(f"add {what}", _author(notes, links))
        return new

    def evolve(self, proposals: Sequence[Proposal], links: Sequence[Link] = ()) -> list[Note]:
        """See `Store.evolve`."""
        with self._change() as writing:
            evolved = [_evolve(writing, proposal) for proposal in proposals]
            made = writing.link(links)
            what = evolved[0].id if len(evolved) == 1 else _many(len(evolved), "note")
            writing.sign(f"evolve {what}" if evolved else f"add {_many(made, 'link')}", _author(proposals, links))
        return evolved

    def support(self, note: str, evidence: Evidence, content: str | None = None, links: Sequence[Link] = ()) -> Note:
        """See `Store.support`."""
        words = {} if content is None else {"content": content}
        with self._change() as writing:
            before = writing.latest(note)
            writing.check_evidence(before.model_copy(update={"evidence": evidence, "author": CODE}))
            after = writing.revise(before, evidence=evidence, author=CODE, **words)
            writing.link(links)
            writing.sign(f"support {after.id}")
        return after

    def unlink(self, link: Link) -> None:
        """See `Store.unlink`."""
        with self._change() as writing:
            writing.unlink(link)
            writing.sign(f"unlink {link.source} from {link.target}")

    def forget(self, note: str, author: Author = CODE) -> None:
        """See `Store.forget`."""
        with self._change() as writing:
            writing.forget(note)
            writing.sign(f"forget {note}", author)

    def revive(self, note: str) -> None:
        """See `Store.revive`."""
        with self._change() as writing:
            writing.revive(note)
            writing.sign(f"revive {note}")

    @contextmanager
    def together(self, what: str) -> Iterator[None]:
        """See `Store.together`."""
        with self._database.writing() as connection:
            if self._whole is not None:
                yield
                return
            self._whole = Writing(connection)
            try:
                yield
                self._whole.sign(what)
            finally:
                self._whole = None

    def undo(self, author: Author = CODE) -> Change | None:
        """See `Store.undo`."""
        with self._change() as writing:
            return writing.undo(author)

    def put_vectors(self, model: str, vectors: Mapping[tuple[str, int], np.ndarray]) -> None:
        """See `Store.put_vectors`."""
        with self._database.writing() as connection:
            sqlite_vectors.put(connection, clean(model), vectors)

    def put_reading(self, reader: str, note: str, revision: int, outcome: str) -> None:
        """See `Store.put_reading`."""
        with self._database.writing() as connection:
            sqlite_readings.put(connection, reader, note, revision, outcome)

    def check(self) -> list[str]:
        """See `Store.check`."""
        try:
            with self._database.writing() as connection:  # SQLite takes the check of the full-text index for a write
                return faults(connection)
        except MemoryFileError as error:
            return [str(error)]

    @contextmanager
    def _change(self) -> Iterator[Writing]:
        with self._database.writing() as connection:
            yield Writing(connection, self._whole)


def _evolve(writing: Writing, proposal: Proposal) -> Note:
    before = writing.latest(proposal.note)
    if before.revision != proposal.revision:
        raise Conflict(
            f"a proposal must be for the latest revision, but {before.id} is at {before.revision}, "
            f"not {proposal.revision}; read the note again and retry"
        )
    words = {"content": proposal.content, "keywords": proposal.keywords, "tags": proposal.tags}
    changes = {name: value for name, value in {**words, "context": proposal.context}.items() if value is not None}
    recalled = before.recalled or proposal.recalled
    return writing.revise(before, author=proposal.author, recalled=recalled, **changes)


def _author(*written: Sequence[Note | Link | Proposal]) -> Author:
    """Whose change it is: the first one's of what was written."""
    return next((one.author for some in written for one in some), CODE)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
