"""Evolution of the memory by a model, note by note, within a time limit. What it proposes is checked, and reversible.

Each note is described (keywords, tags, context), then shown with its nearest neighbours; links and better words for
them are written as proposals, compare-and-swap on the revisions that the model read, in one transaction that `undo`
takes back. A model that fails changes nothing. A neighbour whose words came from another note is tied to it by
`derived`, so that hiding the one hides the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..agents.librarian import Relation, Words, construct, merged, relate
from ..agents.prompts import prompt_hash
from ..memory.errors import Conflict
from ..memory.likeness import neighbours
from ..memory.note import Author, Kind, Link, LinkType, Note, Proposal
from ..memory.retrieval import embed_missing
from ..memory.store import Filter, Store
from ..models.caller import Caller
from ..models.embedder import Embedder
from ..models.errors import EmptyAnswer, ModelError, NotJSON, OutOfRange, Truncated

KINDS = (Kind.LESSON, Kind.FAILURE, Kind.CONVERSATION)  # a task's words are data, and a trial's are not searched
SHOWN = 3  # neighbours of a note; each costs a small model on two cores some seconds
ATTEMPTS = 2  # at a note that another writer changes meanwhile
GIVEN_UP = 3  # failures in a row, after which the model is taken for dead
_NONSENSE = (EmptyAnswer, NotJSON, OutOfRange, Truncated)  # a model that is asked again would say the same
_EVERY = Filter(kinds=KINDS)

Progress = Callable[[int, int], None]  # notes read, of how many


@dataclass(frozen=True)
class Evolved:
    """What a model made of the notes."""

    read: int = 0  # notes
    changed: int = 0  # notes and neighbours with new words
    links: int = 0
    failed: int = 0  # notes of which it said nothing usable, or nothing
    left: int = 0  # notes for the next time
    seconds: float = 0.0
    trouble: str = ""  # the last failure in words

    def sentence(self, model: str) -> str:
        """`embedded read 4 notes in 62 s: new words for 5, 2 links, 1 without a usable answer, 3 left`."""
        words = [f"new words for {self.changed}", f"{self.links} link{'' if self.links == 1 else 's'}"]
        words += [f"{self.failed} without a usable answer"] if self.failed else []
        words += [f"{self.left} left"] if self.left else []
        notes = f"{self.read} note{'' if self.read == 1 else 's'}"
        return f"{model} read {notes} in {self.seconds:.0f} s: {', '.join(words)}"


def evolve(
    store: Store,
    caller: Caller,
    embedder: Embedder | None,
    *,
    where: Filter = _EVERY,
    seconds: float = float("inf"),
    limit: int = 1_000,
    on_progress: Progress = lambda done, total: None,
) -> Evolved:
    """Have a model construct and evolve the notes that it has not read, the oldest first.

    Args:
        embedder: finds neighbours; without one, notes are described only.
        seconds: no note is begun after so many.
        limit: of notes.

    Raises:
        MemoryFault: the memory cannot be read or written.
    """
    if embedder is not None:
        embed_missing(store, embedder)
    librarian, began = _Librarian(store, caller, embedder), time.monotonic()
    waiting = store.unread(librarian.reader, where, limit)
    for note in waiting:
        if time.monotonic() - began >= seconds or librarian.failed_in_a_row >= GIVEN_UP:
            break
        librarian.take(note)
        on_progress(librarian.done.read, len(waiting))
    left = len(waiting) - librarian.done.read
    return replace(librarian.done, left=left, seconds=time.monotonic() - began)


class _Librarian:
    """A model at work on one note after another."""

    def __init__(self, store: Store, caller: Caller, embedder: Embedder | None) -> None:
        self._store, self._caller, self._embedder = store, caller, embedder
        self._author = Author(by="model", name=caller.name, prompt=prompt_hash("librarian"))
        self.reader = f"{self._author.name} {self._author.prompt}"
        self.done, self.failed_in_a_row = Evolved(), 0

    def take(self, note: Note) -> None:
        """Read a note and keep that it was read; a model that was not there may be there the next time."""
        try:
            changed, links = self._evolve(note.id)
            outcome, self.failed_in_a_row = f"changed {changed}, linked {links}", 0
            self.done = replace(self.done, changed=self.done.changed + changed, links=self.done.links + links)
        except (ModelError, Conflict) as error:
            outcome, self.failed_in_a_row = f"{type(error).__name__}: {error}", self.failed_in_a_row + 1
            self.done = replace(self.done, failed=self.done.failed + 1, trouble=str(error))
            if not isinstance(error, _NONSENSE):
                return
        self._store.put_reading(self.reader, note.id, note.revision, outcome)
        self.done = replace(self.done, read=self.done.read + 1)

    def _evolve(self, name: str) -> tuple[int, int]:
        """One note, as it stands now: (notes with new words, links). Another writer's change means reading it again."""
        store = self._store
        for attempt in range(ATTEMPTS):
            note = store.get(name)
            words = construct(note, self._caller)
            near = (
                [] if self._embedder is None else [store.get(other) for other, _ in _near(store, note, self._embedder)]
            )
            relation = relate(note, near, self._caller)
            proposals, links = _proposed(store, note, words, near, relation, self._author)
            try:
                if proposals or links:
                    store.evolve(proposals, links)
                if self._embedder is not None:
                    embed_missing(store, self._embedder)
                return len(proposals), len(links)
            except Conflict:
                if attempt + 1 == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def _near(store: Store, note: Note, embedder: Embedder) -> list[tuple[str, float]]:
    return neighbours(store, note, embedder, SHOWN, where=_EVERY)


def _proposed(
    store: Store, note: Note, words: Words, near: Sequence[Note], relation: Relation, author: Author
) -> tuple[list[Proposal], list[Link]]:
    """Proposals for the note and the neighbours that change, and the links that come with them."""
    wanted = {note.id: words, **relation.refined}
    known = {one.id: one for one in (note, *near)}
    proposals = []
    for name, said in wanted.items():
        base = _written(store, name)
        if name != note.id:  # what it was described with stays beside its refinement, but for the sentence
            base = known[name].model_copy(update={"context": base.context})
        told = merged(base, said)
        if any(getattr(known[name], field) != value for field, value in told.items()):
            # What has evidence cannot be marked as recalled, or its evidence could never follow new trials. Its content
            # and its evidence are untouched, its author is the model, and the `derived` link says from what.
            derived = name != note.id and known[name].evidence is None
            revision = known[name].revision
            proposals.append(Proposal(note=name, revision=revision, author=author, recalled=derived, **told))
    changed = {proposal.note for proposal in proposals} - {note.id}
    links = [Link(source=note.id, target=name, type=LinkType.SIMILAR, author=author) for name in relation.links]
    links += [Link(source=n, target=note.id, type=LinkType.DERIVED, author=author) for n in sorted(changed)]
    return proposals, links


def _written(store: Store, name: str) -> Note:
    """The revision whose words are not a model's: what one says is put beside them, not beside what one said before."""
    history = store.revisions(name)
    found = history[0]
    for before, after in pairwise(history):
        # New evidence is by code and keeps the words as they are, a model's too: who changes them has written them.
        if after.author.by != "model" and _words_of(after) != _words_of(before):
            found = after
    return found


def _words_of(note: Note) -> tuple[object, ...]:
    return note.keywords, note.tags, note.context
