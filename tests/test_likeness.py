"""Links by likeness: to the nearest above a threshold, once, and never to what is hidden or forgotten."""

from __future__ import annotations

import pytest

from luthier.memory.likeness import ALIKE, MOST, link_alike, neighbours
from luthier.memory.note import Kind, LinkType, Note
from luthier.memory.retrieval import Weights, embed_missing, retrieve
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.testing_notes import note
from luthier.models.fake_embedder import HashEmbedder

EMBEDDER = HashEmbedder()


@pytest.fixture
def notes(store: SQLiteStore) -> list[Note]:
    """Two that say nearly the same, one that says something else, and a trial, which is never embedded."""
    shared = " ".join(f"word{number}" for number in range(40))
    found = [note(content=f"{shared} one"), note(content=f"{shared} two"), note(content="plankton in the sea")]
    store.add([*found, note(Kind.TRIAL, f"{shared} one")])
    return found


def test_what_is_alike_is_linked_once_and_undone_as_one_change(store: SQLiteStore, notes: list[Note]) -> None:
    assert link_alike(store, EMBEDDER) == 1
    (link,) = store.links([notes[0].id])
    assert {link.source, link.target} == {notes[0].id, notes[1].id}
    assert (link.type, link.author.by) == (LinkType.SIMILAR, "code")
    journal = store.journal()
    assert link_alike(store, EMBEDDER) == 0
    assert store.journal() == journal
    store.undo()
    assert store.links([notes[0].id]) == []
    assert (link_alike(store, EMBEDDER), store.check()) == (1, [])


def test_a_note_has_few_neighbours_best_first_and_never_itself(store: SQLiteStore) -> None:
    crowd = [note(content="alike " * 20 + f"but for {number}") for number in range(9)]
    store.add(crowd)
    embed_missing(store, EMBEDDER)
    for one in crowd:
        found = neighbours(store, one, EMBEDDER)
        assert len(found) == MOST
        assert one.id not in dict(found)
        assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    assert neighbours(store, crowd[0], EMBEDDER, least=1.01) == []
    assert 0 < link_alike(store, EMBEDDER) <= MOST * len(crowd)
    assert all(cosine >= ALIKE for _, cosine in neighbours(store, crowd[0], EMBEDDER, least=ALIKE))


def test_only_what_passes_the_filter_gets_links_and_no_search_follows_them_by_itself(
    store: SQLiteStore, notes: list[Note]
) -> None:
    assert link_alike(store, EMBEDDER, Filter(kinds=(Kind.FAILURE,))) == 0
    store.forget(notes[1].id)
    assert link_alike(store, EMBEDDER) == 0
    store.undo()
    link_alike(store, EMBEDDER)
    found = retrieve(store, "one", weights=Weights(text=1.0, dense=0.0), k=5)
    assert [one.note.id for one in found] == [notes[0].id]
    told = retrieve(store, "one", weights=Weights(links={LinkType.SIMILAR: 0.5}), k=5)
    assert [one.note.id for one in told] == [notes[0].id, notes[1].id]
