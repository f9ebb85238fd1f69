"""Links by likeness: a note and those that mean nearly the same, by their vectors. By code alone, always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .note import Kind, Link, LinkType, Note
from .retrieval import embed_missing
from .store import Filter, Store

if TYPE_CHECKING:
    from ..models.embedder import Embedder

ALIKE = 0.95  # cosine from which two notes are linked: below it, hops along such links cost the more (docs/memory.md)
MOST = 3  # notes that one is linked to
_ANY, _SEARCHED = Filter(), Filter(kinds=tuple(kind for kind in Kind if kind is not Kind.TRIAL))


def neighbours(
    store: Store, note: Note, embedder: Embedder, k: int = MOST, least: float = -1.0, where: Filter = _ANY
) -> list[tuple[str, float]]:
    """The `k` notes most alike a note, itself left out: (id, cosine) of at least `least`, best first."""
    found = store.nearest(embedder.name, embedder.embed([note.text])[0], k + 1, where)
    return [(name, cosine) for name, cosine in found if name != note.id and cosine >= least][:k]


def link_alike(store: Store, embedder: Embedder, where: Filter = _SEARCHED, least: float = ALIKE) -> int:
    """Link each note that passes the filter to those most alike; how many links are new.

    Raises:
        MemoryFault: the memory cannot be written.
    """
    embed_missing(store, embedder)
    links = [
        Link(source=note.id, target=name, type=LinkType.SIMILAR)
        for note in store.notes(where)
        for name, _ in neighbours(store, note, embedder, least=least)
    ]
    known = {(one.source, one.target) for one in store.links({link.source for link in links}, [LinkType.SIMILAR])}
    # A tie of this kind has no direction: one that is there from the other end is there.
    fresh: dict[tuple[str, str], Link] = {}
    for link in links:
        ends = (link.source, link.target)
        if not {ends, ends[::-1]} & (known | fresh.keys()):
            fresh[ends] = link
    store.add([], list(fresh.values()))
    return len(fresh)
