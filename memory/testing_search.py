"""What every `Store` keeps to in its searches: the part of `StoreContract` on vectors, words and filters."""

from __future__ import annotations

import numpy as np

from .errors import NoteMissing, Refused
from .note import Evidence, Kind, Link, LinkType
from .store import Filter, Store
from .testing_notes import HARD_TEXTS, NOWHERE, directions, embed, found, note, proposal, refused


class SearchContract:
    """The searches of `Store`: exact by vectors, lenient by words, and never past a filter."""

    def test_nearest_is_exact(self, store: Store) -> None:
        kinds = (Kind.LESSON, Kind.FAILURE)
        task = note(Kind.TASK)
        notes = [note(kinds[i % 2], str(i), task=task.id if i % 3 else "", study=f"s{i % 5}") for i in range(199)]
        notes.append(task)
        vectors = directions(200)
        vectors[50:60] = vectors[40]  # equal ones
        store.add(notes)
        embed(store, notes, vectors)
        for seed, where in enumerate(
            (
                Filter(),
                Filter(kinds=(Kind.LESSON,)),
                Filter(tasks=(task.id,)),
                Filter(tasks=(task.id,), studies=("s1", "s2")),
                Filter(hidden_tasks=(task.id,)),
            )
        ):
            passing = {one.id for one in store.notes(where)}
            for query in (vectors[40], directions(1, seed + 1)[0], -3.0 * vectors[7]):
                exact = (vectors.astype(np.float64) * query / np.linalg.norm(query)).sum(axis=1)
                expected = sorted((-c, n.id) for c, n in zip(exact, notes, strict=True) if n.id in passing)
                for k in (0, 1, 7, len(passing), 1000):
                    nearest = store.nearest("m", query, k, where)
                    assert [one for one, _ in nearest] == [one for _, one in expected[:k]]
                    np.testing.assert_allclose([-c for _, c in nearest], [c for c, _ in expected[:k]], atol=1e-6)
        assert store.nearest("m", vectors[0], -1) == store.nearest("nobody", vectors[0], 5) == []

    def test_vectors_of_another_size_or_without_direction_are_refused(self, store: Store) -> None:
        one, other = note(), note()
        store.add([one, other])
        embed(store, [one], directions(1))
        store.put_vectors("wide", {(one.id, 0): np.ones(3, np.float32)})  # another model has its own size
        for wrong in (np.ones(7), np.ones((1, 8)), np.zeros(8), np.full(8, np.nan), np.full(8, np.inf)):
            with refused(store, Refused):
                store.put_vectors("m", {(one.id, 0): directions(1)[0], (other.id, 0): wrong})
            with refused(store, Refused):
                store.nearest("m", wrong, 1)
        assert store.missing_vectors("m") == [other]
        with refused(store, Refused):
            store.put_vectors("new", {(one.id, 0): np.ones(3), (other.id, 0): np.ones(4)})
        for nowhere in ((NOWHERE, 0), (one.id, 1)):
            with refused(store, NoteMissing, nowhere[0]):
                store.put_vectors("m", {nowhere: directions(1)[0]})

    def test_only_the_latest_revision_s_vector_counts(self, store: Store) -> None:
        one = note(content="first")
        a, b = directions(2)
        store.add([one])
        embed(store, [one], [a])
        (second,) = store.evolve([proposal(one, "second")])
        assert (store.nearest("m", a, 1), store.missing_vectors("m")) == ([], [second])
        embed(store, [one], [a])  # late, of an old revision
        assert store.nearest("m", a, 1) == []
        embed(store, [second], [a])
        embed(store, [second], [b])
        ((found_id, cosine),) = store.nearest("m", b, 5)
        assert (found_id, round(cosine, 6)) == (one.id, 1.0)

    def test_equal_text_keeps_its_vector(self, store: Store) -> None:
        trial, one = note(Kind.TRIAL), note(content="first")
        store.add([trial, one])
        embed(store, [one], directions(1))
        store.support(one.id, Evidence(trials=(trial.id,)))
        assert store.missing_vectors("m") == []
        store.evolve([proposal(store.get(one.id), "second")])
        assert len(store.missing_vectors("m")) == 1
        store.undo()
        assert store.missing_vectors("m") == []
        assert [found_id for found_id, _ in store.nearest("m", directions(1)[0], 5)] == [one.id]

    def test_missing_vectors_are_those_of_searchable_notes(self, store: Store) -> None:
        notes = [note(kind) for kind in Kind]
        store.add(notes)
        searchable = [one for one in notes if one.kind is not Kind.TRIAL]
        assert store.missing_vectors("m") == searchable
        assert (store.missing_vectors("m", 2), store.missing_vectors("m", 0)) == (searchable[:2], [])
        embed(store, searchable[1:], directions(3))
        assert store.missing_vectors("m") == searchable[:1]
        embed(store, searchable[:1], directions(1))
        store.forget(searchable[0].id)
        assert store.missing_vectors("m") == []
        assert len(store.missing_vectors("other")) == 3

    def test_words_are_found_in_every_field_and_in_any_language(self, store: Store) -> None:
        one = note(
            content="The Café's batch_size", keywords=("learning rate",), tags=("Überfit",), context="学习率太高"
        )
        store.add([one, note(content="unrelated")])
        for query in (
            "cafe",
            "CAFÉ",
            "batch",
            "size!",
            "rate?",
            "überfit",
            "UBERFIT",
            "学习",
            "率",
            "zzz rate",
            "学习率",
        ):
            assert found(store, query) == [one.id], query
        for text in HARD_TEXTS:
            one = note(content=f"xyzzy {text}")
            store.add([one])
            assert one.id in found(store, f"{text} xyzzy")

    def test_scores_are_above_0_and_order_the_answer(self, store: Store) -> None:
        strong, weak = note(content="plankton plankton"), note(content="plankton " + "and more words of it " * 9)
        twins = [note(content="gamma") for _ in range(5)]
        store.add([weak, strong, *twins, *(note(content=f"filler {number}") for number in range(20))])
        (first, high), (second, low) = store.matching("plankton", 10)
        assert (first, second) == (strong.id, weak.id)
        assert high > low > 0
        assert found(store, "gamma") == sorted(one.id for one in twins)
        assert store.matching("plankton", 1) == [(first, high)]
        assert store.matching("plankton", 0) == store.matching("plankton", -1) == []

    def test_any_query_is_allowed_and_stop_words_do_not_count(self, store: Store) -> None:
        store.add([note(content="the and of it is a plankton")])
        for empty in ("", " ", "the", "The AND of", "\0", "\ud800", "!?*\"'(){}^:-", "%"):
            assert store.matching(empty, 5) == [], empty
        for query in (
            "plankton AND",
            'plankton"',
            "NEAR(plankton",
            "content:plankton",
            "plankton*",
            "-plankton",
            "^plankton",
        ):
            assert len(store.matching(query, 5)) == 1, query
        assert len(store.matching(" ".join(f"w{number}" for number in range(5000)) + " plankton", 5)) == 1

    def test_trials_are_not_found_by_their_words(self, store: Store) -> None:
        store.add([note(Kind.TRIAL, "plankton")])
        assert store.matching("plankton", 5) == []

    def test_filters_hold_before_the_best_are_taken(self, store: Store) -> None:
        loud = [note(content="plankton plankton") for _ in range(10)]
        quiet = note(Kind.FAILURE, "plankton in a long sentence about the sea", study="s")
        store.add([*loud, quiet])
        embed(store, [*loud, quiet], [directions(1)[0]] * 10 + [directions(2)[1]])
        for where in (Filter(kinds=(Kind.FAILURE,)), Filter(studies=("s",))):
            assert [one for one, _ in store.matching("plankton", 1, where)] == [quiet.id]
            assert [one for one, _ in store.nearest("m", directions(1)[0], 1, where)] == [quiet.id]

    def test_nothing_of_a_hidden_task_is_in_any_search(self, store: Store) -> None:
        hidden, shown = note(Kind.TASK, "about plankton"), note(Kind.TASK, "about plankton")
        trial, own = note(Kind.TRIAL, task=hidden.id), note(Kind.TRIAL, task=shown.id)
        lesson = note(content="about plankton", evidence=Evidence(trials=(trial.id, own.id)))
        derived = note(Kind.CONVERSATION, "about plankton")
        fair = note(content="about plankton", evidence=Evidence(trials=(own.id,)))
        member = note(Kind.FAILURE, "about plankton", task=hidden.id)
        notes = [hidden, shown, trial, own, lesson, derived, fair, member]
        store.add(notes, [Link(source=derived.id, target=lesson.id, type=LinkType.DERIVED)])
        embed(store, notes, directions(len(notes)))
        where, open_ = Filter(hidden_tasks=(hidden.id,)), {shown.id, own.id, fair.id}
        assert {one.id for one in store.notes(where)} == open_
        assert store.count(where) == len(open_)
        assert set(found(store, "plankton", where)) == open_ - {own.id}
        assert {one for one, _ in store.nearest("m", directions(1)[0], 99, where)} == open_
        assert store.count() == len(notes)

    def test_a_rank_in_a_search_is_never_taken_for_a_note(self, store: Store) -> None:
        """There, a neighbour's rank indexed the list of all notes, so that another note was rewritten."""
        notes = [note(content=f"about {topic}") for topic in ("whales", "ferns", "plankton")]
        store.add(notes)
        embed(store, notes, directions(3))
        ((by_words, _),) = store.matching("plankton", 1)
        ((by_vector, _),) = store.nearest("m", directions(3)[2], 1)
        assert by_words == by_vector == notes[2].id
        store.evolve([proposal(store.get(by_words), "about krill")])
        assert [one.content for one in store.notes()] == ["about whales", "about ferns", "about krill"]

    def test_the_index_follows_an_evolution(self, store: Store) -> None:
        """There, a search kept finding the words that a note no longer had."""
        one = note(content="about whales", keywords=("sea",))
        store.add([one])
        (second,) = store.evolve([proposal(one, "about ferns", keywords=("wood",))])
        assert [found(store, word) for word in ("whales", "sea", "ferns", "wood")] == [[], [], [one.id], [one.id]]
        store.undo()
        assert [found(store, word) for word in ("whales", "sea", "ferns", "wood")] == [[one.id], [one.id], [], []]
        assert second.id == one.id
