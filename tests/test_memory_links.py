"""The links that code makes: same space, same study, supports, refutes. Each is made once, and resolves."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from doubles import failed
from hypothesis import given, settings
from hypothesis import strategies as st
from test_memory_tasks import OTHER, SPACE, TASK, trials

from luthier.memory.note import Kind, Link, LinkType, Standing
from luthier.memory.recording import learn, record
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.task import Task
from luthier.memory.ties import TAUGHT, said
from luthier.trials.space import Float, Space

WIDER = TASK.model_copy(update={"space": Space({**SPACE.parameters, "lr": Float(1e-6, 0.1, log=True)})})
TOLD = TASK.model_copy(
    update={"script": "python told.py", "space": Space({**SPACE.parameters, "lr": Float(1e-5, 0.1, log=True)})}
)
VERDICTS = (LinkType.SUPPORTS, LinkType.REFUTES)


def study(store: SQLiteStore, slope: float, number: int, task: Task = TASK, n: int = 8, breaks: bool = False) -> None:
    """A study of a task from its first trial to what it teaches."""
    done = trials(slope, n=n, noise=0.02, first=100 * number)
    done += [failed(100 * number + n, SPACE.default())] if breaks else []
    for trial in done:
        record(store, task, f"s{number}", f"uid{number}", [trial])
    learn(store, task)


def linked(store: SQLiteStore, *types: LinkType) -> list[Link]:
    return store.links([note.id for note in store.notes()], types)


def verdicts(store: SQLiteStore) -> list[tuple[LinkType, str]]:
    """What was said of lessons, by trials of which study, in the order in which it was said."""
    return [(link.type, store.get(link.source).study) for link in linked(store, *VERDICTS)]


def test_tasks_of_one_space_are_a_chain_and_others_stand_alone(store: SQLiteStore) -> None:
    for number, task in enumerate((TASK, WIDER, OTHER, TOLD)):
        study(store, -0.5, number, task)
        study(store, -0.5, 10 + number, task)
    assert {(link.source, link.target) for link in linked(store, LinkType.SAME_SPACE)} == {
        (OTHER.id, TASK.id),
        (TOLD.id, OTHER.id),  # what the ranges start from does not make another space
    }
    assert WIDER.id == TASK.id  # a task is known by its names, and keeps the ranges that it was first seen with


def test_other_ranges_are_another_space(store: SQLiteStore) -> None:
    for number, task in enumerate((TASK, WIDER.model_copy(update={"script": "python wider.py"}))):
        study(store, -0.5, number, task)
    assert linked(store, LinkType.SAME_SPACE) == []


def test_what_a_study_taught_is_a_chain(store: SQLiteStore) -> None:
    study(store, -0.5, 0, breaks=True)
    study(store, -0.5, 1, OTHER, breaks=True)
    for task in (TASK, OTHER):
        failure, lesson = sorted(store.notes(Filter(kinds=TAUGHT, tasks=(task.id,))), key=lambda note: note.kind)
        assert [(link.source, link.target) for link in store.links([lesson.id], [LinkType.SAME_STUDY])] == [
            (lesson.id, failure.id)
        ]
    assert len(linked(store, LinkType.SAME_STUDY)) == 2


def test_a_lesson_knows_which_studies_it_has_stood_and_which_took_it_down(store: SQLiteStore) -> None:
    study(store, -0.5, 0)
    assert verdicts(store) == []  # its own trials are its evidence
    study(store, -0.5, 1)
    assert verdicts(store) == [(LinkType.SUPPORTS, "s1")]
    study(store, +0.6, 2, n=17)  # no longer sure
    study(store, 0.0, 3, n=6)  # still open: nothing is said
    said_so_far = [(LinkType.SUPPORTS, "s1"), (LinkType.REFUTES, "s2")]
    assert verdicts(store) == said_so_far
    study(store, +0.9, 4, n=80)  # the opposite
    assert verdicts(store) == [*said_so_far, (LinkType.REFUTES, "s4")]
    (lesson,) = store.notes(Filter(kinds=(Kind.LESSON,)))
    assert lesson.evidence is not None
    assert lesson.evidence.standing is Standing.SUPERSEDED
    newest = [link.source for link in linked(store, *VERDICTS)]
    assert all(name in lesson.evidence.trials for name in newest)
    assert store.undo() is not None  # the last lesson's revision goes, and its link with it
    assert verdicts(store) == said_so_far


def test_a_study_that_goes_on_says_a_thing_once(store: SQLiteStore) -> None:
    study(store, -0.5, 0)
    for number in range(3):
        record(store, TASK, "s1", "uid1", trials(-0.5, noise=0.02, first=100 + 8 * number))
        learn(store, TASK)
    assert verdicts(store) == [(LinkType.SUPPORTS, "s1")]


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ("supported", "supported", LinkType.SUPPORTS),
        ("weakened", "supported", LinkType.SUPPORTS),
        ("superseded", "supported", LinkType.SUPPORTS),
        ("supported", "weakened", LinkType.REFUTES),
        ("supported", "superseded", LinkType.REFUTES),
        ("weakened", "superseded", LinkType.REFUTES),
        ("superseded", "superseded", LinkType.REFUTES),
        ("weakened", "weakened", None),
        ("superseded", "weakened", None),
    ],
)
def test_what_new_trials_say(before: str, now: str, kind: LinkType | None) -> None:
    assert said(Standing(before), Standing(now)) is kind


steps = st.tuples(
    st.sampled_from([TASK, OTHER, TOLD]),
    st.sampled_from([-0.9, -0.5, 0.0, 0.7]),
    st.sampled_from([6, 8, 20]),
    st.booleans(),
)
meanwhile = st.lists(st.sampled_from(["learn", "undo", "forget", "unlink"]), max_size=3)


@settings(max_examples=25)
@given(st.lists(st.tuples(steps, meanwhile), min_size=1, max_size=5))
def test_after_any_studies_each_link_is_there_once_and_resolves(done: list[tuple[tuple, list[str]]]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder, closing(SQLiteStore(Path(folder) / "memory.db")) as store:
        for number, ((task, slope, n, breaks), others) in enumerate(done):
            study(store, slope, number, task, n, breaks)
            for other in others:
                change(store, other, task)
        for task in (TASK, OTHER, TOLD):
            learn(store, task)
        before, journal = linked(store), store.journal(10_000)
        for task in (TASK, OTHER, TOLD):
            learn(store, task)
        assert (linked(store), store.journal(10_000)) == (before, journal)  # a second time, nothing is written
        notes = {name: store.get(name) for link in before for name in (link.source, link.target)}
        ties = Counter((frozenset((link.source, link.target)), link.type) for link in before)
        assert all(count == 1 for count in ties.values())
        for link in before:
            source, target = notes[link.source], notes[link.target]
            if link.type is LinkType.SAME_STUDY:
                assert (source.task, source.study) == (target.task, target.study)
            if link.type in VERDICTS:
                assert (source.kind, target.kind, source.task) == (Kind.TRIAL, Kind.LESSON, target.task)
        studies = Counter(
            (link.target, link.type, notes[link.source].study) for link in before if link.type in VERDICTS
        )
        assert all(count == 1 for count in studies.values())
        assert store.check() == []


def change(store: SQLiteStore, what: str, task: Task) -> None:
    """Something else that happens between two studies."""
    notes, made = list(store.notes(Filter(kinds=TAUGHT))), linked(store)
    if what == "learn":
        learn(store, task)
    elif what == "undo":
        store.undo()
    elif what == "forget" and notes:
        store.forget(notes[0].id)
    elif what == "unlink" and made:
        store.unlink(made[-1])
