"""What every `Store` keeps to in hiding and bringing back: the part of `StoreContract` on undo, forget and revive."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from .errors import NoteMissing, Refused
from .note import PERSON, Evidence, Kind, Link, LinkType, PastTrial
from .store import Filter, Store
from .testing_notes import EARLY, MODEL, NOWHERE, directions, embed, found, note, proposal, refused


class UndoContract:
    """What is undone is gone until it is written again; what is forgotten is gone until it is revived."""

    def test_undo_takes_back_each_kind_of_change_and_goes_further_back(self, store: Store) -> None:
        trial, lesson = note(Kind.TRIAL), note(content="first")
        link = Link(source=lesson.id, target=trial.id, type=LinkType.SUPPORTS, author=MODEL)
        other = Link(source=trial.id, target=lesson.id, type=LinkType.DERIVED)
        store.add([trial, lesson], [link])
        store.evolve([proposal(lesson, "second")], [other])
        store.support(lesson.id, Evidence(trials=(trial.id,)), "third")
        store.unlink(link)
        store.forget(lesson.id)
        assert (store.links([trial.id]), store.count()) == ([other], 1)

        assert self._undo(store).startswith("forget")
        assert store.count() == 2
        assert self._undo(store).startswith("unlink")
        assert store.links([trial.id]) == [link, other]
        assert self._undo(store).startswith("support")
        assert (store.get(lesson.id).content, store.get(lesson.id).evidence) == ("second", None)
        assert self._undo(store).startswith("evolve")
        assert (store.get(lesson.id).content, store.links([trial.id])) == ("first", [link])
        assert self._undo(store).startswith("add")
        assert (store.count(), store.links([trial.id])) == (0, [])
        assert store.undo() is None
        assert [one.content for one in store.revisions(lesson.id)] == ["first", "second", "third", "second", "first"]
        assert [one.undone for one in store.journal()] == [False] * 5 + [True] * 5
        assert store.check() == []

    def test_what_is_done_together_is_one_change(self, store: Store) -> None:
        old, trial, lesson, gone = note(content="old"), note(Kind.TRIAL), note(content="first"), note()
        link, other = (Link(source=old.id, target=end.id, type=LinkType.SIMILAR) for end in (gone, lesson))
        store.add([old, gone], [link])
        before = list(store.notes())
        with store.together("an act"):
            store.add([trial, lesson], [other])
            store.support(
                lesson.id, Evidence(trials=(trial.id,)), "second", [link.model_copy(update={"source": trial.id})]
            )
            store.unlink(other)
            store.unlink(link)
            store.forget(lesson.id)
            store.forget(gone.id)
            with store.together("a part of it"):
                store.evolve([proposal(old, "new"), proposal(old.model_copy(update={"revision": 1}), "newer")])
                store.revive(gone.id)
            assert store.get(old.id).content == "newer"  # what is written is read within
        assert [change.what for change in store.journal()] == ["an act", "add 2 notes"]
        assert [note.content for note in store.notes()] == ["newer", gone.content, trial.content]
        assert len(store.links([trial.id])) == 1
        assert self._undo(store) == "an act"
        assert [one.text for one in store.notes()] == [one.text for one in before]
        assert store.links([old.id, trial.id, lesson.id]) == [link]
        assert store.add([lesson]) == [lesson.id]  # its adding was undone, not forgotten

    def test_of_what_is_done_together_all_is_there_or_nothing(self, store: Store) -> None:
        one, other = note(), note()
        store.add([one])
        with refused(store, NoteMissing, NOWHERE), store.together("an act"):
            store.evolve([proposal(one, "changed")])
            store.forget(NOWHERE)
        with refused(store, Refused, "undoing"), store.together("an act"):
            store.evolve([proposal(one, "changed")])
            store.undo()
        with store.together("an act"):
            with suppress(NoteMissing):
                store.evolve([proposal(one, "taken back"), proposal(note(), "of nothing")])
            store.add([other])
        assert (store.get(one.id), list(store.notes())) == (one, [one, other])
        with store.together("nothing"):
            pass
        assert [change.what for change in store.journal()] == ["an act", "add 1 note"]

    def test_support_writes_its_links_with_it(self, store: Store) -> None:
        trial, lesson = note(Kind.TRIAL), note()
        link = Link(source=trial.id, target=lesson.id, type=LinkType.SUPPORTS)
        store.add([trial, lesson])
        with refused(store, NoteMissing, NOWHERE):
            store.support(lesson.id, Evidence(trials=(trial.id,)), links=[link.model_copy(update={"source": NOWHERE})])
        store.support(lesson.id, Evidence(trials=(trial.id,)), links=[link, link])
        assert store.links([lesson.id]) == [link]
        assert self._undo(store).startswith("support")
        assert (store.links([lesson.id]), store.get(lesson.id).evidence) == ([], None)

    @staticmethod
    def _undo(store: Store) -> str:
        change = store.undo()
        assert change is not None
        assert change.undone
        return change.what

    def test_undo_takes_a_batch_back_as_a_whole(self, store: Store) -> None:
        a, b = note(content="a"), note(content="b")
        store.add([a, b])
        (second,) = store.evolve([proposal(a, "a2")])
        store.evolve(
            [proposal(second, "a3"), proposal(b, "b2"), proposal(second.model_copy(update={"revision": 2}), "a4")]
        )
        assert [store.get(a.id).content, store.get(b.id).content] == ["a4", "b2"]
        store.undo()
        assert [store.get(a.id).content, store.get(b.id).content] == ["a2", "b"]

    def test_undo_takes_away_links_and_rows_that_were_added_to_old_notes(self, store: Store) -> None:
        task, trial = note(Kind.TASK), note(Kind.TRIAL)
        store.add([task, trial])
        row = PastTrial(id=trial.id, task=task.id, study="s", number=0, config={}, state="complete")
        link = Link(source=trial.id, target=task.id, type=LinkType.SAME_TASK)
        for _ in range(2):
            store.add([], [link], [row])
            assert (store.trials(task.id), store.links([task.id])) == ([row], [link])
            store.undo()
            assert (store.trials(task.id), store.links([task.id]), store.count()) == ([], [], 2)

    def test_a_forgotten_note_is_in_no_search_but_readable(self, store: Store) -> None:
        task = note(Kind.TASK, "about plankton")
        one, other = note(content="about plankton", task=task.id), note(content="about plankton")
        link = Link(source=one.id, target=other.id, type=LinkType.SIMILAR)
        store.add([task, one, other], [link])
        embed(store, [one, other], directions(2))
        store.forget(one.id)
        store.forget(one.id)
        assert [n.id for n in store.notes()] == [task.id, other.id]
        assert (store.count(), store.count(Filter(tasks=(task.id,)))) == (2, 1)
        assert one.id not in found(store, "plankton")
        assert [n for n, _ in store.nearest("m", directions(1)[0], 5)] == [other.id]
        assert store.missing_vectors("other") == [task, other]
        assert (store.get(one.id), store.revisions(one.id), store.links([one.id])) == (one, [one], [link])
        assert store.add([one]) == []
        store.evolve([proposal(one, "still hidden plankton")])
        assert (store.count(), one.id in found(store, "plankton")) == (2, False)
        assert [change.what.split()[0] for change in store.journal()] == ["evolve", "forget", "add"]

    def test_who_forgets_and_who_undoes_is_in_the_journal(self, store: Store) -> None:
        one = note()
        store.add([one])
        store.forget(one.id)
        assert store.undo(PERSON) is not None
        store.forget(one.id, PERSON)
        signed = [(change.what.split()[0], change.author.by) for change in store.journal()]
        assert signed == [("forget", "person"), ("undo:", "person"), ("forget", "code"), ("add", "code")]

    def test_what_was_undone_comes_back_when_it_is_added_again(self, store: Store) -> None:
        task, trial = note(Kind.TASK, "about plankton"), note(Kind.TRIAL)
        lesson = note(content="about plankton", task=task.id, study="s", time=EARLY, keywords=("sea",))
        link = Link(source=lesson.id, target=trial.id, type=LinkType.SUPPORTS)
        row = PastTrial(id=trial.id, task=task.id, study="s", number=0, config={}, state="complete")
        store.add([task, trial])
        store.add([lesson], [link], [row])
        embed(store, [lesson], directions(1))
        store.undo()
        assert (store.count(), store.links([lesson.id]), store.trials(task.id)) == (2, [], [])
        assert store.add([lesson, trial], [link], [row]) == [lesson.id]
        assert (store.count(), store.links([lesson.id]), store.trials(task.id)) == (3, [link], [row])
        assert found(store, "sea") == [lesson.id]
        assert [name for name, _ in store.nearest("m", directions(1)[0], 5)] == [lesson.id]
        first, second = store.revisions(lesson.id)
        assert (first, second.revision) == (lesson, 1)
        assert second.model_copy(update={"revision": 0, "time": EARLY}) == lesson
        assert second.time > EARLY
        assert store.add([lesson, trial], [link], [row]) == []
        assert self._undo(store).startswith("add")
        assert (store.count(), store.links([lesson.id]), store.trials(task.id)) == (2, [], [])
        assert store.add([lesson.model_copy(update={"content": "about krill"})]) == [lesson.id]
        assert (found(store, "krill"), found(store, "sea")) == ([lesson.id], [lesson.id])
        assert self._undo(store).startswith("add")
        assert self._undo(store).startswith("add")
        assert (store.undo(), store.count(), store.check()) == (None, 0, [])

    def test_what_comes_back_is_as_it_is_given_now(self, store: Store) -> None:
        old, new, trial = note(Kind.TASK), note(Kind.TASK), note(Kind.TRIAL)
        lesson = note(task=old.id, study="s", evidence=Evidence(trials=(trial.id,)))
        store.add([old, new, trial])
        store.add([lesson])
        store.undo()
        with refused(store, NoteMissing, NOWHERE):
            store.add([lesson.model_copy(update={"task": NOWHERE})])
        assert store.add([lesson.model_copy(update={"kind": Kind.FAILURE})]) == []
        moved = lesson.model_copy(update={"task": new.id, "study": "t", "evidence": None, "author": MODEL})
        store.add([moved])
        now = store.get(lesson.id)
        assert now == moved.model_copy(update={"revision": 1, "time": now.time})
        assert list(store.notes(Filter(tasks=(new.id,), studies=("t",)))) == [now]
        assert list(store.notes(Filter(tasks=(old.id,)))) == [old]

    def test_what_was_forgotten_stays_so_when_it_is_added_again(self, store: Store) -> None:
        one = note()
        store.add([one])
        store.forget(one.id)
        assert (store.add([one]), store.count()) == ([], 0)
        assert self._undo(store).startswith("forget")
        assert self._undo(store).startswith("add")
        store.forget(one.id)  # nothing is there to be forgotten
        assert (store.add([one]), store.count()) == ([one.id], 1)

    def test_revive_brings_back_what_is_hidden(self, store: Store) -> None:
        one = note(content="about plankton", time=EARLY - timedelta(1))
        store.add([one])
        store.revive(one.id)  # it is not hidden: no change
        store.forget(one.id)
        store.revive(one.id)
        assert (list(store.notes()), found(store, "plankton"), store.revisions(one.id)) == ([one], [one.id], [one])
        assert [change.what.split()[0] for change in store.journal()] == ["revive", "forget", "add"]
        assert self._undo(store).startswith("revive")
        assert (store.count(), store.add([one])) == (0, [])
        assert self._undo(store).startswith("forget")
        assert self._undo(store).startswith("add")
        store.revive(one.id)
        assert store.count() == 1
        assert self._undo(store).startswith("revive")
        assert (store.count(), store.add([one])) == (0, [one.id])
        with refused(store, NoteMissing, NOWHERE):
            store.revive(NOWHERE)
