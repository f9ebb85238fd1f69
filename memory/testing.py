"""What every `Store` keeps to, as tests to inherit: give a pytest fixture `store`, an empty one.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        ...
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from .errors import Conflict, NoteMissing, Refused
from .note import CODE, MAX_CONTENT, PERSON, Author, Evidence, Kind, Link, LinkType, PastTrial, Proposal
from .store import Filter, Store
from .testing_notes import (
    EARLY,
    HARD_TEXTS,
    MODEL,
    NOWHERE,
    directions,
    embed,
    found,
    note,
    proposal,
    refused,
    state,
)
from .testing_readings import ReadingContract
from .testing_search import SearchContract
from .testing_undo import UndoContract


class StoreContract(ReadingContract, SearchContract, UndoContract):
    """The contract of `Store`, sentence by sentence."""

    def test_it_is_a_store(self, store: Store) -> None:
        assert isinstance(store, Store)
        assert store.count() == 0
        assert store.undo() is None
        assert [*store.notes(), *store.journal(), *store.missing_vectors("m"), *store.check()] == []

    def test_what_goes_in_comes_out(self, store: Store) -> None:
        task = note(Kind.TASK, "digits", time=EARLY)
        trial = note(Kind.TRIAL, "lr 0.1", task=task.id, study="s", author=Author(by="code", name="hook"))
        evidence = Evidence(
            trials=(trial.id,),
            metric="loss",
            best=float("inf"),
            config={"lr": 0.1, "n": 3, "on": True, "act": "relu", "one": 1.0},
            effect=-0.0,
            low=-1e300,
            diagnosis="overfits",
            seconds=1.5,
        )
        lesson = note(keywords=("warm", "start"), tags=("a b",), context="On digits.", task=task.id, evidence=evidence)
        assert store.add([lesson, trial, task]) == [lesson.id, trial.id, task.id]
        assert [store.get(one.id) for one in (task, trial, lesson)] == [task, trial, lesson]
        assert [*map(type, store.get(lesson.id).evidence.config.values())] == [float, int, bool, str, float]  # type: ignore[union-attr]

    def test_hard_texts_come_out_of_every_field_as_they_went_in(self, store: Store) -> None:
        for text in HARD_TEXTS:
            task = note(Kind.TASK, text, study=text, context=text, keywords=(text, text), tags=(text,))
            trial = note(Kind.TRIAL, text, task=task.id)
            named = Author(by="code", name=text, prompt=text)
            shown = Evidence(trials=(trial.id,), metric=text, config={text: text}, diagnosis=text)
            lesson = note(Kind.LESSON, text, author=named, evidence=shown)
            link = Link(source=lesson.id, target=task.id, type=LinkType.DERIVED, author=named)
            row = PastTrial(
                id=trial.id, task=task.id, study=text, number=0, config={text: text}, state=text, cause=text
            )
            store.add([task, trial, lesson], [link], [row])
            assert [store.get(one.id) for one in (task, trial, lesson)] == [task, trial, lesson]
            assert store.links([lesson.id]) == [link]
            assert store.links([lesson.id])[0].author == named
            assert store.trials(task.id) == [row]
            assert task in store.notes(Filter(studies=(text,)))
        assert store.count() == 3 * len(HARD_TEXTS)
        assert store.check() == []

    def test_ten_megabytes_come_back_from_where_they_may_be(self, store: Store) -> None:
        long = "a line of a log\n" * 655_360
        one = note(context=long, study="s")
        store.add([one])
        assert store.get(one.id) == one
        assert found(store, "log") == [one.id]
        with refused(store, Refused, "limits of its fields"):
            store.support(one.id, Evidence(trials=()), long)

    def test_nul_and_lone_surrogates_become_replacement_characters(self, store: Store) -> None:
        broken, whole = "a\0b\ud800c\udfff", "a\ufffdb\ufffdc\ufffd"
        one = note(
            content=broken, keywords=(broken,), context=broken, study=broken, author=Author(by="code", name=broken)
        )
        store.add([one])
        kept = store.get(one.id)
        assert (kept.content, kept.keywords, kept.context, kept.study, kept.author.name) == (
            whole,
            (whole,),
            *[whole] * 3,
        )
        assert kept == one
        store.evolve([proposal(kept, broken)])
        assert store.get(one.id).content == whole
        bypassing = note().model_copy(update={"content": broken})
        store.add([bypassing])
        assert store.get(bypassing.id).content == whole
        assert found(store, broken) == found(store, "b\0a")
        with refused(store, NoteMissing):
            store.get(f"{one.id}\0")
        assert store.count(Filter(studies=(broken,))) == 1

    def test_a_time_without_a_zone_is_in_utc(self, store: Store) -> None:
        one = note(time=EARLY.replace(tzinfo=None))
        other = note(time=EARLY.astimezone(datetime.now().astimezone().tzinfo))
        store.add([one, other])
        assert store.get(one.id).time == store.get(other.id).time == EARLY
        assert store.get(one.id).time.utcoffset() == timedelta(0)

    def test_adding_twice_writes_once(self, store: Store) -> None:
        a, b = note(), note(Kind.TRIAL, "t")
        task = note(Kind.TASK)
        link = Link(source=a.id, target=b.id, type=LinkType.SIMILAR)
        row = PastTrial(id=b.id, task=task.id, study="s", number=0, config={}, state="complete", value=1.0)
        assert store.add([a, b, task, a], [link, link], [row, row]) == [a.id, b.id, task.id]
        before = state(store)
        assert store.add([a.model_copy(update={"content": "another"}), task], [link], [row]) == []
        assert store.add([], [link.model_copy(update={"author": MODEL})], [row.model_copy(update={"value": 2.0})]) == []
        assert state(store) == before
        assert store.trials(task.id) == [row]

    def test_a_new_note_begins_at_revision_0(self, store: Store) -> None:
        one = note(revision=7)
        store.add([one])
        assert [r.revision for r in store.revisions(one.id)] == [0]

    def test_unknown_ids_are_refused_and_nothing_is_written(self, store: Store) -> None:
        task, known = note(Kind.TASK), note(Kind.TRIAL)
        store.add([task, known])
        row = PastTrial(id=known.id, task=task.id, study="s", number=0, config={}, state="complete")
        for link in (
            Link(source=NOWHERE, target=known.id, type=LinkType.SIMILAR),
            Link(source=known.id, target=NOWHERE, type=LinkType.SIMILAR),
        ):
            with refused(store, NoteMissing, NOWHERE):
                store.add([note()], [link])
            with refused(store, NoteMissing, NOWHERE):
                store.evolve([proposal(known, "new")], [link])
            with refused(store, NoteMissing, NOWHERE):
                store.unlink(link)
        with refused(store, NoteMissing, NOWHERE):
            store.add([note(), note(task=NOWHERE)])
        with refused(store, NoteMissing, NOWHERE):
            store.add([note(), note(evidence=Evidence(trials=(known.id, NOWHERE)))])
        for wrong in ({"id": NOWHERE}, {"task": NOWHERE}, {"task": ""}):
            with refused(store, NoteMissing):
                store.add([note()], trials=[row.model_copy(update=wrong)])
        with refused(store, NoteMissing, NOWHERE):
            store.evolve([proposal(known, "new"), Proposal(note=NOWHERE, revision=0, author=MODEL)])
        with refused(store, NoteMissing, NOWHERE):
            store.support(NOWHERE, Evidence(trials=(known.id,)))
        with refused(store, NoteMissing, NOWHERE):
            store.forget(NOWHERE)
        for read in (store.get, store.revisions):
            with refused(store, NoteMissing, NOWHERE):
                read(NOWHERE)

    def test_evidence_by_a_model_or_a_person_is_refused(self, store: Store) -> None:
        trial = note(Kind.TRIAL)
        store.add([trial])
        for author in (MODEL, PERSON):
            with refused(store, Refused, "evidence", author.by):
                store.add([note(evidence=Evidence(trials=(trial.id,)), author=author)])

    def test_evidence_is_trials_of_our_own(self, store: Store) -> None:
        lesson, recalled, trial = note(), note(Kind.TRIAL, recalled=True), note(Kind.TRIAL)
        store.add([lesson, recalled, trial])
        for wrong in (lesson, recalled):
            shown = Evidence(trials=(trial.id, wrong.id))
            with refused(store, Refused, wrong.id):
                store.add([note(evidence=shown)])
            with refused(store, Refused, wrong.id):
                store.support(lesson.id, shown)
        later = note(Kind.TRIAL, recalled=True)
        with refused(store, Refused, later.id):
            store.add([note(evidence=Evidence(trials=(later.id,))), later])

    def test_what_was_recalled_never_becomes_evidence(self, store: Store) -> None:
        trial, told = note(Kind.TRIAL), note(recalled=True)
        store.add([trial, told])
        with refused(store, Refused, told.id):
            store.support(told.id, Evidence(trials=(trial.id,)))
        with refused(store, Refused, "recalled"):
            store.add([note(recalled=True, evidence=Evidence(trials=(trial.id,)))])
        (once,) = store.evolve([proposal(store.get(trial.id), recalled=True)])
        (after,) = store.evolve([proposal(once, "reworded")])
        assert after.recalled
        with refused(store, Refused, trial.id):
            store.add([note(evidence=Evidence(trials=(trial.id,)))])

    def test_support_writes_evidence_by_code_as_a_new_revision(self, store: Store) -> None:
        trial, lesson = note(Kind.TRIAL), note(author=MODEL, keywords=("k",))
        store.add([trial, lesson])
        shown = Evidence(trials=(trial.id, trial.id), effect=0.1, low=0.0, high=0.2)
        first = store.support(lesson.id, shown)
        assert (first.revision, first.evidence, first.author, first.content) == (1, shown, CODE, lesson.content)
        second = store.support(lesson.id, shown, "it gains 0.1")
        assert (second.revision, second.content, second.keywords) == (2, "it gains 0.1", ("k",))
        with refused(store, Refused, lesson.id):
            store.support(lesson.id, shown, "x" * (MAX_CONTENT + 1))

    def test_a_trial_s_row_belongs_to_a_trial(self, store: Store) -> None:
        task, lesson = note(Kind.TASK), note()
        with refused(store, Refused, lesson.id):
            row = PastTrial(id=lesson.id, task=task.id, study="s", number=0, config={}, state="complete")
            store.add([task, lesson], trials=[row])

    def test_trials_of_a_task_come_oldest_first_without_forgotten_ones(self, store: Store) -> None:
        task, other = note(Kind.TASK), note(Kind.TASK)
        notes = [note(Kind.TRIAL) for _ in range(4)]
        rows = [
            PastTrial(
                id=one.id,
                task=task.id,
                study="s",
                number=number,
                config={"lr": 0.1, "n": 2},
                state="complete",
                value=float("inf"),
                time=EARLY - timedelta(days=number),
            )
            for number, one in enumerate(notes)
        ]
        store.add([task, other, *notes], trials=[*rows[:3], rows[3].model_copy(update={"task": other.id})])
        store.forget(notes[1].id)
        assert store.trials(task.id) == [rows[2], rows[0]]
        assert store.trials(NOWHERE) == []

    def test_evolving_keeps_every_revision(self, store: Store) -> None:
        one = note(content="first", keywords=("a",), tags=("t",), context="c")
        store.add([one])
        (second,) = store.evolve([proposal(one, "second", context="d")])
        (third,) = store.evolve([proposal(second, keywords=("b",), tags=(), author=PERSON)])
        assert (second.content, second.keywords, second.context, second.author) == ("second", ("a",), "d", MODEL)
        assert (third.content, third.keywords, third.tags, third.author) == ("second", ("b",), (), PERSON)
        assert store.revisions(one.id) == [one, second, third]
        assert store.get(one.id) == third
        assert one.time <= second.time <= third.time

    def test_a_note_is_read_as_it_stood(self, store: Store) -> None:
        one = note(content="first", time=EARLY)
        store.add([one])
        (second,) = store.evolve([proposal(one, "second")])
        assert [store.get(one.id, 0), store.get(one.id, 1), store.get(one.id)] == [one, second, second]
        assert store.get(one.id, EARLY) == store.get(one.id, second.time - timedelta(microseconds=1)) == one
        assert store.get(one.id, second.time) == second
        assert store.get(one.id, EARLY.replace(tzinfo=None)) == one
        for never in (2, -1, 2**80, EARLY - timedelta(microseconds=1)):
            with refused(store, NoteMissing, one.id):
                store.get(one.id, never)

    def test_times_of_revisions_never_run_backwards(self, store: Store) -> None:
        ahead = datetime.now(UTC) + timedelta(days=1)
        one = note(time=ahead)
        store.add([one])
        (second,) = store.evolve([proposal(one, "second")])
        assert second.time >= ahead
        assert store.get(one.id, second.time) == second

    def test_a_late_writer_gets_a_conflict_and_nothing_of_its_batch_is_written(self, store: Store) -> None:
        a, b = note(), note()
        store.add([a, b])
        store.evolve([proposal(a, "by another")])
        with refused(store, Conflict, a.id):
            store.evolve([proposal(b, "new"), proposal(a, "late")])
        with refused(store, Conflict, b.id):
            store.evolve([proposal(b, "new"), proposal(b, "new again")])
        store.evolve([proposal(store.get(a.id), "retried")])
        assert store.get(a.id).content == "retried"

    def test_the_journal_is_newest_first_and_names_the_author(self, store: Store) -> None:
        a, b = note(), note()
        store.add([a, b])
        store.evolve([proposal(a, "new")])
        store.unlink(Link(source=a.id, target=b.id, type=LinkType.SIMILAR))  # there is none: no change
        evolved, added = store.journal()
        assert (added.what, added.author, evolved.what, evolved.author) == (
            "add 2 notes",
            CODE,
            f"evolve {a.id}",
            MODEL,
        )
        assert evolved.number > added.number
        assert evolved.time >= added.time
        assert (store.journal(1), store.journal(0)) == ([evolved], [])

    def test_links_come_in_the_order_in_which_they_were_made(self, store: Store) -> None:
        a, b, c = note(), note(), note()
        store.add([a, b, c])
        made = [
            Link(source=source.id, target=target.id, type=kind, author=MODEL)
            for source, target, kind in (
                (c, a, LinkType.SIMILAR),
                (a, b, LinkType.DERIVED),
                (a, b, LinkType.SIMILAR),
                (b, b, LinkType.REFUTES),
            )
        ]
        for link in made:
            store.add([], [link])
        assert store.links([b.id, a.id, b.id]) == made
        assert store.links([c.id]) == made[:1]
        assert store.links([a.id], [LinkType.SIMILAR]) == [made[0], made[2]]
        assert store.links([]) == store.links([NOWHERE]) == []
        store.unlink(made[1].model_copy(update={"author": CODE}))  # the author is no part of which link it is
        assert store.links([a.id]) == [made[0], made[2]]

    def test_notes_are_listed_oldest_first_and_by_structure(self, store: Store) -> None:
        task, other = note(Kind.TASK, time=EARLY + timedelta(3)), note(Kind.TASK, time=EARLY + timedelta(2))
        mine = note(task=task.id, study="s", time=EARLY + timedelta(1))
        failure = note(Kind.FAILURE, task=other.id, study="t", time=EARLY)
        store.add([task, other, mine, failure])
        assert list(store.notes()) == [failure, mine, other, task]
        for where, expected in (
            (Filter(kinds=(Kind.TASK, Kind.FAILURE)), [failure, other, task]),
            (Filter(tasks=(task.id,)), [mine, task]),
            (Filter(studies=("s", "t")), [failure, mine]),
            (Filter(kinds=(Kind.LESSON,), tasks=(other.id,)), []),
            (Filter(hidden_tasks=(other.id,)), [mine, task]),
            (Filter(tasks=(task.id, other.id), hidden_tasks=(other.id, NOWHERE)), [mine, task]),
            (Filter(tasks=("",)), []),
            (Filter(hidden_tasks=("",)), [failure, mine, other, task]),
        ):
            assert list(store.notes(where)) == expected, where
            assert store.count(where) == len(expected)

    def test_studies_are_those_of_the_notes_that_pass(self, store: Store) -> None:
        hidden = note(study="b")
        store.add([note(study="c"), note(Kind.TASK, study="a"), note(study="c"), note(), hidden])
        store.forget(hidden.id)
        assert store.studies() == ["a", "c"]
        assert store.studies(Filter(kinds=(Kind.TASK,))) == ["a"]

    def test_a_listing_may_be_written_to_while_it_is_read(self, store: Store) -> None:
        store.add([note(content=str(number)) for number in range(20)])
        for one in store.notes():
            store.evolve([proposal(one, f"{one.content}, seen")])
        assert all(one.content.endswith(", seen") for one in store.notes())
        assert next(store.notes()).revision == 1
        store.add([note()])

    def test_threads_share_a_store(self, store: Store) -> None:
        def write(number: int) -> list[str]:
            one = note(content=f"plankton {number}")
            store.add([one])
            embed(store, [one], directions(1, number))
            return [found_id for found_id, _ in store.nearest("m", directions(1, number)[0], 1)] + found(
                store, "plankton"
            )

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(write, range(40)))
        assert len({first for first, *_ in answers}) == store.count() == len(found(store, "plankton")) == 40

    def test_links_always_resolve(self, store: Store) -> None:
        """There, a model's answer became a link, whatever it named."""
        a, b = note(), note()
        store.add([a, b], [Link(source=a.id, target=b.id, type=LinkType.SIMILAR)])
        for made_up in ("1", "", "lesson-ffffff", b.id.upper(), f" {b.id}"):
            with refused(store, NoteMissing):
                store.evolve([proposal(a, "new")], [Link(source=a.id, target=made_up, type=LinkType.SIMILAR)])
        store.forget(b.id)
        assert [store.get(end).id for link in store.links([a.id]) for end in (link.source, link.target)] == [a.id, b.id]

    def test_no_change_overwrites_history(self, store: Store) -> None:
        """There, an evolved note's old words were gone."""
        one = note(content="first")
        store.add([one])
        for content in ("second", "third"):
            store.evolve([proposal(store.get(one.id), content)])
        store.undo()
        assert [r.content for r in store.revisions(one.id)] == ["first", "second", "third", "second"]
        assert [change.what.split()[0] for change in store.journal()] == ["undo:", "evolve", "evolve", "add"]
