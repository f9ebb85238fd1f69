"""The memory as a store of LangGraph: `graph.compile(store=MemoryStore(SQLiteStore(path)))`.

What a graph puts becomes a note with a history: a new value is a revision, a deletion hides it, and `luthier memory
search`, `show`, `undo` and `export` know it as they know every note. See `langgraph_items.py` for how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from langgraph.store.base import BaseStore, GetOp, Item, ListNamespacesOp, Op, PutOp, Result, SearchItem, SearchOp

from .errors import Conflict
from .hops import passing
from .langgraph_items import (
    ITEMS,
    LANGGRAPH,
    UNINDEXED,
    Namespace,
    check_op,
    id_of,
    key_of,
    matches,
    namespace_of,
    note_of,
    passes,
    value_of,
    within,
)
from .note import Note, Proposal
from .retrieval import retrieve
from .store import Filter, Store

if TYPE_CHECKING:
    from ..models.embedder import Embedder

RANKED = 500  # notes that a query ranks at least, so that the pages of one search fit together
_ANY_ITEM = Filter(kinds=(ITEMS,))


class MemoryStore(BaseStore):
    """LangGraph's `BaseStore` over a memory.

    - A query ranks by meaning and by words, as `retrieve` does; items that neither finds follow, without a score.
      Scores are comparable within one answer only. Without a query the oldest item comes first.
    - An item's whole value is searched: a list of fields for `index` is taken for all, and `index=False` for none.
    - Values are JSON of at most 20,000 characters. Items do not expire.
    - Within a batch everything is read before anything is written, and of several writes to one item the last counts.
    - Threads, processes and event loops may share the memory; of two writers of one item the later one wins.

    Args:
        store: the memory. Whoever opened it closes it.
        embedder: makes the vectors of what is put and of queries; None searches by words alone.
    """

    def __init__(self, store: Store, embedder: Embedder | None = None) -> None:
        self._store, self._embedder = store, embedder

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the operations; a result for each, None for a put.

        Raises:
            InvalidNamespaceError: a namespace that cannot be stored. Nothing is done.
            Refused: a value that cannot be stored. Nothing is done.
            ValueError: an operation, an operator or a condition that LangGraph does not define.
            MemoryFault: the memory cannot be read or written.
            ModelError: the embedder has failed. What was put is there, and found by its words.
        """
        ops = list(ops)
        for op in ops:
            check_op(op)
        puts = {id_of(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        notes = [note_of(op) for op in puts.values() if op.value is not None]
        results = [self._read(op) for op in ops]
        self._delete(name for name, op in puts.items() if op.value is None)
        self._put(notes)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _read(self, op: Op) -> Result:
        match op:
            case GetOp():
                return self._get(op)
            case SearchOp():
                return self._search(op)
            case ListNamespacesOp():
                return self._namespaces(op)
        return None

    def _get(self, op: GetOp) -> Item | None:
        found = passing(self._store, [id_of(op.namespace, op.key)], _ANY_ITEM)
        return next((Item(**self._shown(note, op.key)) for note in found.values()), None)

    def _search(self, op: SearchOp) -> list[SearchItem]:
        begin, end = max(op.offset, 0), max(op.offset, 0) + max(op.limit, 0)
        studies = [study for study in self._studies() if within(namespace_of(study), op.namespace_prefix)]
        if not studies:  # a filter without studies would let everything pass
            return []
        where = Filter(kinds=(ITEMS,), studies=tuple(studies))
        ranked = self._ranked(op, where, end)
        rest = (
            note for note in self._store.notes(where) if note.id not in ranked and passes(value_of(note), op.filter)
        )
        items = self._keyed(chain((note for note, _ in ranked.values()), rest))
        return [
            SearchItem(**self._shown(note, key), score=ranked[note.id][1] if note.id in ranked else None)
            for note, key in islice(items, begin, end)
        ]

    def _ranked(self, op: SearchOp, where: Filter, count: int) -> dict[str, tuple[Note, float]]:
        """The best `count` or more of what the query finds and the filter lets pass, best first, with scores."""
        if not op.query or not count:
            return {}
        most = self._store.count(where)
        k = max(count, RANKED)
        while True:
            found = retrieve(self._store, op.query, embedder=self._embedder, where=where, k=min(k, most), hops=0)
            kept = {one.note.id: (one.note, one.score) for one in found if _is_found(one.note, op)}
            if len(kept) >= count or k >= most:
                return kept
            k *= 4

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        found = {namespace_of(study)[: op.max_depth] for study in self._studies() if _is_listed(study, op)}
        begin = max(op.offset, 0)
        return sorted(found)[begin : begin + max(op.limit, 0)]

    def _studies(self) -> list[str]:
        return [study for study in self._store.studies(_ANY_ITEM) if namespace_of(study)]

    def _keyed(self, notes: Iterable[Note]) -> Iterator[tuple[Note, str]]:
        """The notes that are items, with their keys."""
        for note in notes:
            key = key_of(note)
            if key is None and note.revision:  # somebody has changed the keywords since
                key = key_of(self._store.get(note.id, 0))
            if key is not None:
                yield note, key

    def _shown(self, note: Note, key: str) -> dict[str, Any]:
        created = self._store.get(note.id, 0).time if note.revision else note.time
        place = {"namespace": namespace_of(note.study), "key": key}
        return {**place, "value": value_of(note), "created_at": created, "updated_at": note.time}

    def _delete(self, names: Iterable[str]) -> None:
        for name in passing(self._store, names, _ANY_ITEM):
            self._store.forget(name)

    def _put(self, notes: list[Note]) -> None:
        if not notes:
            return
        new = set(self._store.add(notes))
        changed = {note.id: note for note in notes if note.id not in new}
        self._rewrite(changed.values())
        for name in changed.keys() - passing(self._store, changed, _ANY_ITEM).keys():
            self._store.revive(name)  # it was deleted
        self._embed(note.id for note in notes if UNINDEXED not in note.tags)

    def _rewrite(self, notes: Iterable[Note]) -> None:
        """Write the values as the next revisions, again where another writer came between."""
        notes = list(notes)
        while notes:
            try:
                self._store.evolve([_proposal(note, self._store.get(note.id).revision) for note in notes])
                return
            except Conflict:
                continue

    def _embed(self, names: Iterable[str]) -> None:
        notes = [self._store.get(name) for name in names] if self._embedder else []
        if self._embedder and notes:
            vectors = self._embedder.embed([note.text for note in notes])  # (n, d)
            keyed = {(note.id, note.revision): vector for note, vector in zip(notes, vectors, strict=True)}
            self._store.put_vectors(self._embedder.name, keyed)


def _proposal(note: Note, revision: int) -> Proposal:
    # What others have made of the old value's words goes with it; the history has it.
    words: dict[str, Any] = {"content": note.content, "keywords": note.keywords, "tags": note.tags, "context": ""}
    return Proposal(note=note.id, revision=revision, author=LANGGRAPH, recalled=True, **words)


def _is_found(note: Note, op: SearchOp) -> bool:
    return UNINDEXED not in note.tags and passes(value_of(note), op.filter)


def _is_listed(study: str, op: ListNamespacesOp) -> bool:
    return matches(namespace_of(study), op.match_conditions or ())
