"""What beat the default on fresh seeds is a lesson: from the runs of a confirmation to the next study's first words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import complete

from luthier.confirm import Comparison, Confirmation
from luthier.memory.gains import TAG, Gain, learn_gain
from luthier.memory.markdown import export_notes, import_notes
from luthier.memory.note import Kind, LinkType, Note, Standing
from luthier.memory.recall import lessons
from luthier.memory.recording import past_trial, record
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.task import Task
from luthier.remember import remember_gain
from luthier.trials.records import Candidate, Direction, Outcome, State, Trial
from luthier.trials.space import Float, Int, Space
from luthier.trials.study import Study

SPACE = Space({"lr": Float(1e-5, 0.1, log=True, default=1e-3), "units": Int(8, 512, default=64)})
TASK = Task(script="python train.py", metric="accuracy", direction=Direction.MAXIMIZE, space=SPACE, place="here")
DEFAULT, BETTER = complete(0, {"lr": 1e-3, "units": 64}, 0.9), complete(4, {"lr": 0.01234, "units": 64}, 0.95)
SURE = Gain(mean=0.04, low=0.03, high=0.05, seeds=5, value=0.93)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(tmp_path / "memory.db")
    yield opened
    opened.close()


def learnt(store: SQLiteStore, gain: Gain, *, uid: str = "uid", better: Trial = BETTER) -> list[Note]:
    """The lessons after a study of two trials was confirmed with this gain."""
    record(store, TASK, uid, uid, [DEFAULT, better])
    learn_gain(store, TASK, *(past_trial(TASK, uid, uid, one).id for one in (better, DEFAULT)), gain)
    return list(store.notes(Filter(kinds=(Kind.LESSON,))))


def test_a_sure_gain_is_a_lesson_that_the_next_study_is_told(store: SQLiteStore) -> None:
    (note,) = learnt(store, SURE)
    said = "In python train.py, lr=0.0123 beat the default's accuracy: +0.04 [+0.03, +0.05], above 0 is better, "
    assert note.content == said + "5 fresh seeds."
    assert note.evidence is not None
    assert (note.evidence.best, note.evidence.config) == (0.93, {"lr": 0.01234, "units": 64})
    assert lessons(store, TASK) == [note.content]


def test_a_sure_loss_is_one_too(store: SQLiteStore) -> None:
    (note,) = learnt(store, Gain(-0.04, -0.05, -0.03, 5, 0.85))
    assert "lr=0.0123 fell behind the default's accuracy: -0.04" in note.content


@pytest.mark.parametrize("unsure", [replace(SURE, low=-0.01), Gain(0.04, -math.inf, math.inf, 1, 0.93)])
def test_what_is_not_sure_is_no_lesson(unsure: Gain, store: SQLiteStore) -> None:
    assert learnt(store, unsure) == []


def test_a_configuration_equal_to_the_default_s_teaches_nothing(store: SQLiteStore) -> None:
    assert learnt(store, SURE, better=complete(4, dict(DEFAULT.config), 0.95)) == []


def test_a_trial_that_is_not_in_the_memory_teaches_nothing(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", [DEFAULT])
    learn_gain(store, TASK, "trial-000000000000", past_trial(TASK, "s", "uid", DEFAULT).id, SURE)
    assert store.count(Filter(kinds=(Kind.LESSON,))) == 0


@pytest.mark.parametrize(
    ("later", "standing", "link"),
    [
        (replace(SURE, mean=0.041), Standing.SUPPORTED, LinkType.SUPPORTS),
        (replace(SURE, low=-0.01), Standing.WEAKENED, LinkType.REFUTES),
        (Gain(-0.04, -0.05, -0.03, 5, 0.85), Standing.SUPERSEDED, LinkType.REFUTES),
    ],
)
def test_the_same_configuration_confirmed_again_brings_its_lesson_in_line(
    later: Gain, standing: Standing, link: LinkType, store: SQLiteStore
) -> None:
    (first,) = learnt(store, SURE)
    (note,) = learnt(store, later, uid="later")
    assert note.id == first.id
    assert note.evidence is not None
    assert note.evidence.standing is standing
    assert [one.type for one in store.links([note.id]) if one.target == note.id] == [link]
    assert lessons(store, TASK) == ([note.content] if standing is Standing.SUPPORTED else [])
    assert learnt(store, later, uid="later") == [note]  # nothing new, nothing written


def test_of_several_gains_in_a_task_only_the_surest_is_told(store: SQLiteStore) -> None:
    learnt(store, SURE)
    other = complete(5, {"lr": 0.02, "units": 128}, 0.96)
    notes = learnt(store, replace(SURE, low=0.039, high=0.041), uid="other", better=other)
    assert len(notes) == 2
    (told,) = lessons(store, TASK)
    assert "lr=0.02, units=128 beat" in told


def test_an_export_and_an_import_keep_it_whole(store: SQLiteStore, tmp_path: Path) -> None:
    (note,) = learnt(store, SURE)
    export_notes(store, tmp_path / "notes")
    other = SQLiteStore(tmp_path / "other.db")
    import_notes(other, tmp_path / "notes")
    again = other.get(note.id)
    assert (again.content, again.evidence, again.tags) == (note.content, note.evidence, (TAG,))
    other.close()


def confirmed(folder: Path) -> tuple[Study, Confirmation]:
    study = Study.create(folder, name="s", space=SPACE, metric="accuracy", direction=Direction.MAXIMIZE)
    for trial in (DEFAULT, BETTER):
        study.begin(number := len(study.trials), Candidate(dict(trial.config), "test"))
        study.finish(number, Outcome(State.COMPLETE, trial.value, {"accuracy": float(trial.value or 0)}))
    pairs = Comparison("accuracy", [0.93, 0.95], [0.9, 0.91], 0.035, 0.01, 0.06)
    return study, Confirmation(1, [1000, 1001], [pairs])


def test_a_confirmation_reaches_the_memory_that_the_study_was_given(tmp_path: Path) -> None:
    study, found = confirmed(tmp_path / "s")
    assert remember_gain(study, found, tmp_path / "memory.db", tmp_path, {"rows": 5.0}) == ""
    (note,) = SQLiteStore(tmp_path / "memory.db").notes(Filter(kinds=(Kind.LESSON,)))
    assert "lr=0.0123 beat the default's accuracy: +0.035 [+0.01, +0.06], above 0 is better, 2 fresh" in note.content
    assert note.context.endswith("; data of 5 rows")
    assert note.evidence is not None
    assert note.evidence.best == pytest.approx(0.94)


def test_without_a_memory_or_a_pair_of_runs_nothing_is_kept(tmp_path: Path) -> None:
    study, found = confirmed(tmp_path / "s")
    assert remember_gain(study, found, False, tmp_path, {}) == ""
    assert remember_gain(study, replace(found, comparisons=[]), tmp_path / "memory.db", tmp_path, {}) == ""
    assert not (tmp_path / "memory.db").exists()


def test_a_memory_that_cannot_be_opened_is_not_told_of_again(tmp_path: Path) -> None:
    study, found = confirmed(tmp_path / "s")
    (tmp_path / "memory.db").write_text("no database")
    assert remember_gain(study, found, tmp_path / "memory.db", tmp_path, {}) == ""  # the study itself has told
