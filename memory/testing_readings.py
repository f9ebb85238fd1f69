"""What every `Store` keeps to about readings: the part of `StoreContract` on what a model has read."""

from __future__ import annotations

from .errors import NoteMissing
from .note import Evidence, Kind
from .store import Filter, Store
from .testing_notes import NOWHERE, note, proposal, refused


class ReadingContract:
    """A note is read once by each reader, until its content changes."""

    def test_what_was_read_is_not_unread_until_its_content_changes(self, store: Store) -> None:
        trial, one, other = note(Kind.TRIAL), note(content="first"), note(content="second")
        store.add([trial, one, other])
        lessons = Filter(kinds=(Kind.LESSON,))
        assert store.unread("m", lessons) == [one, other]
        assert (store.unread("m", lessons, 1), store.unread("m", lessons, 0)) == ([one], [])
        store.put_reading("m", one.id, 0, "linked")
        store.put_reading("m", one.id, 0, "again")
        assert store.unread("m", lessons) == [other]
        assert store.unread("another", lessons) == [one, other]
        store.evolve([proposal(one, keywords=("warm",), context="A start.")])
        assert store.unread("m", lessons) == [other]
        store.undo()
        assert store.unread("m", lessons) == [other]
        store.support(one.id, Evidence(trials=(trial.id,)))
        assert store.unread("m", lessons) == [other]
        store.support(one.id, Evidence(trials=(trial.id,)), "first, with more trials")
        assert [left.id for left in store.unread("m", lessons)] == [one.id, other.id]
        store.forget(one.id)
        assert store.unread("m", lessons) == [other]
        assert store.check() == []

    def test_a_reading_is_of_a_revision_that_exists_and_no_change(self, store: Store) -> None:
        one = note()
        store.add([one])
        for name, revision in ((NOWHERE, 0), (one.id, 1)):
            with refused(store, NoteMissing, name):
                store.put_reading("m", name, revision, "linked")
        before = store.journal()
        store.put_reading("'; DROP TABLE readings; --", one.id, 0, "\0 odd \ud800")
        assert store.journal() == before
        assert store.unread("'; DROP TABLE readings; --") == []
