"""The storage protocol: where notes live. `sqlite_store.py` is one; another passes the same tests (`testing.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np

from .note import CODE, Author, Evidence, Kind, Link, LinkType, Note, PastTrial, Proposal


@dataclass(frozen=True)
class Filter:
    """Which notes count, by structure. Empty fields let everything pass; forgotten notes never pass."""

    kinds: tuple[Kind, ...] = ()
    tasks: tuple[str, ...] = ()  # ids of task notes: those notes themselves and the notes that belong to them
    studies: tuple[str, ...] = ()
    # The leakage guard: nothing of these tasks is ever seen: not their notes, nor what belongs to them, nor what was
    # learnt from either, by evidence from their trials or by a link of type derived, at any number of removes.
    hidden_tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One entry of the journal: a transaction, which `undo` takes back as a whole."""

    number: int
    time: datetime
    what: str  # "add 3 notes", "evolve lesson-3f9a1c", ...
    author: Author
    undone: bool = False


@runtime_checkable
class Store(Protocol):
    """Notes, append-only revisions, typed links, vectors and trials.

    - Every method that writes is one transaction: all of it is there afterwards, or nothing, also after kill -9.
    - Ids are checked in the transaction: a link to a note that does not exist raises `NoteMissing`, so links always
      resolve. A forgotten note keeps its id, its revisions and its links; it only is in no search any more.
    - Revisions are append-only: `undo` and `forget` add to the history, they take nothing away.
    - Several processes may write at once. A writer waits for another; `evolve` raises `Conflict` when it was late.
    - Text is data: any Unicode comes back as it went in, except NUL and lone surrogates, which are replaced by U+FFFD.
      A time comes back in UTC, and one without a zone is taken for UTC.
    - The threads of a process may share a store.
    """

    def add(self, notes: Sequence[Note], links: Sequence[Link] = (), trials: Sequence[PastTrial] = ()) -> list[str]:
        """Add notes, links and trial rows in one transaction; the ids of the notes that are new.

        A note whose id exists is left as it is, forgotten or not, and so is a link that exists and a trial's row:
        writing twice writes once. A new note begins at revision 0. A note whose adding was undone comes back, if it is
        of the same kind: what is given now is its next revision, and its id counts as new. Trial rows belong to notes
        of kind trial, new or old. Notes of one call may name each other in any order.

        Raises:
            NoteMissing: a link, a `task`, evidence or a trial row names a note that does not exist.
            Refused: evidence by another author than code, of a note that is `recalled`, or whose trials include a note
                that is `recalled` or not of kind trial; a trial row whose note is not of kind trial.
        """
        ...

    def get(self, note: str, as_of: datetime | int | None = None) -> Note:
        """A note at its latest revision, at a revision number, or as it stood at a time; forgotten ones too.

        Raises:
            NoteMissing: an unknown id, or none at that time.
        """
        ...

    def revisions(self, note: str) -> list[Note]:
        """Every revision, oldest first."""
        ...

    def notes(self, where: Filter = Filter()) -> Iterator[Note]:
        """The latest revisions that pass the filter, oldest note first, by the time of its revision 0.

        The store may be written to meanwhile: a note is as it stands when it is reached.
        """
        ...

    def count(self, where: Filter = Filter()) -> int:
        """How many notes pass the filter."""
        ...

    def studies(self, where: Filter = Filter()) -> list[str]:
        """The names of the studies that the notes which pass the filter come from, in order."""
        ...

    def evolve(self, proposals: Sequence[Proposal], links: Sequence[Link] = ()) -> list[Note]:
        """Write proposals and links in one transaction, compare-and-swap on each revision; the new revisions.

        Times of revisions never run backwards, whatever the clock does. Evidence stays as it is.

        Raises:
            Conflict: a note is not at the proposal's revision. Nothing is written.
            NoteMissing: an unknown id. Nothing is written.
        """
        ...

    def support(self, note: str, evidence: Evidence, content: str | None = None, links: Sequence[Link] = ()) -> Note:
        """A new revision with evidence computed by code, and with the words that code gives it; links with it.

        Raises:
            NoteMissing: an unknown id, of the note, of a trial or of a link.
            Refused: the note or a trial is `recalled`, a trial is not a trial note, or the content is too long.
        """
        ...

    def links(self, notes: Iterable[str], types: Iterable[LinkType] = ()) -> list[Link]:
        """The links that touch any of `notes`, of these types or of all, in the order in which they were made."""
        ...

    def unlink(self, link: Link) -> None:
        """Take a link away; `undo` brings it back. A link that is not there is no error.

        Raises:
            NoteMissing: an unknown id.
        """
        ...

    def forget(self, note: str, author: Author = CODE) -> None:
        """Hide a note from every search and listing. It stays readable by its id, and its links resolve.

        Args:
            author: who wants it, for the journal.

        Raises:
            NoteMissing: an unknown id.
        """
        ...

    def revive(self, note: str) -> None:
        """Bring a hidden note back as it stands, whether it was forgotten or its adding undone.

        Raises:
            NoteMissing: an unknown id.
        """
        ...

    def together(self, what: str) -> AbstractContextManager[None]:
        """All that this store writes within is one change: there as a whole or not at all, and undone as one.

        Other writers wait until its end. A part that raises writes nothing, and if that leaves the block, nothing is
        written at all. One within another is a part of it. Searches by vectors belong before or after.

        Args:
            what: is done, in the journal's words.

        Raises:
            Refused: `undo` within.
        """
        ...

    def undo(self, author: Author = CODE) -> Change | None:
        """Take back the latest change that is not yet undone, whoever made it; that change.

        Args:
            author: who wants it, for the journal.

        A revised note gets a new revision, equal to the one before the change. Added notes are hidden like forgotten
        ones, until they are added again; added links and trial rows are taken away. The journal keeps both the change
        and its undoing, which cannot be undone. None when nothing is left. Vectors are no change: they follow the text.
        """
        ...

    def journal(self, limit: int = 20) -> list[Change]:
        """The latest changes, newest first."""
        ...

    def trials(self, task: str) -> list[PastTrial]:
        """The rows of a task, oldest first, without those of forgotten notes."""
        ...

    def put_vectors(self, model: str, vectors: Mapping[tuple[str, int], np.ndarray]) -> None:
        """Keep embeddings of revisions, keyed by (note, revision), each of shape (d,) float32 and length 1.

        A newer vector of the same revision replaces the older. Where a new revision has the text of the one that it
        was made from, it has its vectors too.

        Raises:
            NoteMissing: there is no such revision.
            Refused: another size than the vectors of this model have here, or one that is zero or not finite.
        """
        ...

    def missing_vectors(self, model: str, limit: int = 1000) -> list[Note]:
        """Latest revisions of embedded kinds (all but trials) that have no vector of this model."""
        ...

    def nearest(self, model: str, vector: np.ndarray, k: int, where: Filter = Filter()) -> list[tuple[str, float]]:
        """The `k` notes whose latest revisions' vectors are most alike: (id, cosine), best first, equal ones by id.
        Nothing where the model has no vectors. Cosines are exact; among very many notes one that is near may be missed.

        Raises:
            Refused: `vector` has another size than those of this model, or is zero or not finite.
        """
        ...

    def matching(self, query: str, k: int, where: Filter = Filter()) -> list[tuple[str, float]]:
        """The `k` notes whose text holds words of the query: (id, BM25 score above 0, higher is better), best first.

        Trials are not searched by their words. A word is letters and digits, in any case and with or without accents;
        where a script has no spaces, any two neighbours in it. Stop words do not count. Any query is allowed; one
        without a word that counts finds nothing. Equal ones by id.
        """
        ...

    def put_reading(self, reader: str, note: str, revision: int, outcome: str) -> None:
        """Keep that a reader, such as a model with its prompt, has read a revision, and what came of it in words.

        As vectors, readings are no change: nothing undoes them.

        Raises:
            NoteMissing: there is no such revision.
        """
        ...

    def unread(self, reader: str, where: Filter = Filter(), limit: int = 1000) -> list[Note]:
        """Latest revisions that pass the filter and of whose content the reader has read no revision, oldest first.

        Who changes keywords, tags or context, or takes such a change back, makes nothing unread: the content counts.
        """
        ...

    def check(self) -> list[str]:
        """What is wrong with the memory, a sentence each; empty when it is whole."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
