"""From a study's trials to notes: tasks, rows, failures, and lessons that are strengthened, weakened or superseded."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from doubles import complete, failed
from rich.console import Console

from luthier.memory.errors import Refused
from luthier.memory.lessons import LEAST, effect_of
from luthier.memory.markdown import export_notes, import_notes
from luthier.memory.note import MAX_CONTENT, Author, Kind, LinkType, Note, Proposal, Standing
from luthier.memory.recall import lessons, past_trials
from luthier.memory.recording import learn, past_trial, record
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.task import Task
from luthier.memory_page import trial_table
from luthier.trials.records import Direction, State, Trial
from luthier.trials.space import Choice, Float, Space

SPACE = Space({"lr": Float(1e-5, 0.1, log=True, default=1e-3), "opt": Choice(("sgd", "adam"), default="adam")})
TASK = Task(script="python train.py", metric="loss", direction=Direction.MINIMIZE, space=SPACE, place="here")
OTHER = TASK.model_copy(update={"script": "python other.py"})


def trials(slope: float, n: int = 8, noise: float = 0.0, first: int = 0) -> list[Trial]:
    """Losses that change by `slope` from the lowest rate to the highest."""
    rng = np.random.default_rng(first)
    units = np.linspace(0, 1, n)
    values = 1 + slope * units + noise * rng.standard_normal(n)
    lr = SPACE["lr"]
    return [
        complete(first + i, {"lr": float(lr.from_unit(float(u))), "opt": "adam"}, float(v))
        for i, (u, v) in enumerate(zip(units, values, strict=True))
    ]


def only(store: SQLiteStore, kind: Kind) -> Note:
    (note,) = store.notes(Filter(kinds=(kind,)))
    return note


def test_a_task_is_read_back_from_its_note() -> None:
    task = TASK.model_copy(update={"features": {"rows": 1797.0}})
    assert Task.read(task.note("digits")) == task
    assert task.id != TASK.id
    assert Task.read(TASK.note("s").model_copy(update={"content": "rewritten: ["})) is None


def test_a_task_that_cannot_be_read_any_more_gets_its_words_back(store: SQLiteStore) -> None:
    cut = TASK.note("s").model_copy(update={"content": TASK.note("s").content[:60]})
    store.add([cut])
    record(store, TASK, "s", "uid", trials(-0.5))
    assert Task.read(only(store, Kind.TASK)) is None
    learn(store, TASK)
    assert Task.read(only(store, Kind.TASK)) == TASK


def test_likeness_is_one_with_itself_symmetric_and_falls_with_each_difference() -> None:
    named = Space({"alpha": Float(0.0, 1.0)})
    steps = [
        TASK.model_copy(update={"features": {"rows": 100.0}}),
        OTHER.model_copy(update={"features": {"rows": 100.0}}),
        OTHER.model_copy(update={"features": {"rows": 50.0}}),
        OTHER,
        OTHER.model_copy(update={"metric": "accuracy"}),
        OTHER.model_copy(update={"metric": "accuracy", "space": named}),
    ]
    found = [steps[0].likeness(other) for other in steps]
    assert found[0] == pytest.approx(1.0)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert found == [other.likeness(steps[0]) for other in steps]


def test_recording_twice_writes_once_and_new_trials_are_added(store: SQLiteStore) -> None:
    done = trials(-0.5)
    assert record(store, TASK, "s", "uid", done[:3]) == 3
    assert record(store, TASK, "s", "uid", done[:3]) == 0
    assert record(store, TASK, "s", "uid", done) == 5
    rows = store.trials(TASK.id)
    assert [row.number for row in rows] == list(range(8))
    following = store.links([row.id for row in rows], [LinkType.NEXT_TRIAL])
    assert [(link.source, link.target) for link in following] == [(b.id, a.id) for a, b in pairwise(rows)]
    assert store.check() == []


def test_studies_of_one_name_in_two_places_stay_apart(store: SQLiteStore) -> None:
    record(store, TASK, "s", "one", trials(-0.5))
    record(store, TASK, "s", "two", trials(-0.5))
    assert len(store.trials(TASK.id)) == 16


def test_the_task_s_evidence_holds_the_best_of_all_its_studies(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(-0.5))
    learn(store, TASK)
    evidence = only(store, Kind.TASK).evidence
    assert evidence is not None
    assert (evidence.best, len(evidence.trials)) == (pytest.approx(0.5), 8)
    before = len(store.revisions(TASK.id))
    learn(store, TASK)
    assert len(store.revisions(TASK.id)) == before  # nothing new, nothing written


def test_a_lesson_is_made_when_it_is_sure_then_weakened_then_superseded_never_deleted(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(-0.5, noise=0.02))
    learn(store, TASK)
    lesson = only(store, Kind.LESSON)
    assert lesson.evidence is not None
    assert (lesson.evidence.standing, lesson.keywords) == (Standing.SUPPORTED, ("lr", "loss"))
    assert lesson.evidence.effect == pytest.approx(0.5, abs=0.1)  # above 0 is better, and a loss fell
    assert "better loss" in lesson.content

    record(store, TASK, "again", "other", trials(+0.5, n=9, noise=0.02, first=100))
    learn(store, TASK)
    weak = only(store, Kind.LESSON)
    assert weak.evidence is not None
    assert weak.evidence.standing is Standing.WEAKENED
    assert lessons(store, TASK) == []  # what is not sure is not handed on

    record(store, TASK, "third", "more", trials(+0.9, n=60, noise=0.02, first=200))
    learn(store, TASK)
    last = only(store, Kind.LESSON)
    assert last.evidence is not None
    assert last.evidence.standing is Standing.SUPERSEDED
    assert [n.evidence.standing for n in store.revisions(lesson.id) if n.evidence] == [
        "supported",
        "weakened",
        "superseded",
    ]


def test_a_superseded_lesson_stays_so_after_an_export_and_import(store: SQLiteStore, tmp_path: Path) -> None:
    """An export keeps the latest revision alone, whose effect is the opposite of what was claimed."""
    record(store, TASK, "s", "uid", trials(-0.5, noise=0.02))
    learn(store, TASK)
    record(store, TASK, "third", "more", trials(+0.9, n=60, noise=0.02, first=200))
    learn(store, TASK)
    export_notes(store, tmp_path / "notes")
    copy = SQLiteStore(tmp_path / "copy.db")
    import_notes(copy, tmp_path / "notes")
    record(copy, TASK, "fourth", "still more", trials(+0.9, n=9, noise=0.02, first=400))
    learn(copy, TASK)
    evidence = only(copy, Kind.LESSON).evidence
    assert evidence is not None
    assert (evidence.standing, len(evidence.trials)) == (Standing.SUPERSEDED, 8 + 60 + 9)
    copy.close()


def test_a_claim_that_was_undone_and_came_back_as_its_opposite_is_a_new_claim(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(-0.9, n=6, noise=0.02))
    learn(store, TASK)
    while store.undo() is not None:
        pass
    record(store, TASK, "again", "other", trials(+0.7, n=20, noise=0.02, first=100))
    learn(store, TASK)
    back = only(store, Kind.LESSON)
    assert back.evidence is not None
    assert back.evidence.standing is Standing.SUPPORTED
    learn(store, TASK)
    assert only(store, Kind.LESSON) == back  # nothing new, nothing written


def test_noise_makes_no_lesson(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(0.0, n=12, noise=0.1))
    learn(store, TASK)
    assert store.count(Filter(kinds=(Kind.LESSON,))) == 0


def test_an_effect_needs_enough_trials_and_a_number() -> None:
    rows = [past_trial(TASK, "s", "uid", trial) for trial in trials(-0.5)]
    assert effect_of("lr", TASK, rows) is not None
    assert effect_of("lr", TASK, rows[: LEAST - 1]) is None
    assert effect_of("opt", TASK, rows) is None
    assert effect_of("lr", TASK, [row.model_copy(update={"value": None}) for row in rows]) is None


def test_the_value_of_a_stopped_trial_is_told_as_a_guess(store: SQLiteStore) -> None:
    stopped = replace(trials(0.0, n=1)[0], state=State.PRUNED, extra={"expected": 0.7})
    record(store, TASK, "s", "uid", [stopped])
    assert "loss about 0.7 (stopped early)" in only(store, Kind.TRIAL).content
    printed = StringIO()
    Console(file=printed).print(trial_table([(None, row) for row in store.trials(TASK.id)], "loss"))
    assert "~0.7" in printed.getvalue()


def test_seeds_of_a_few_configurations_are_no_more_than_these(store: SQLiteStore) -> None:
    rows = [past_trial(TASK, "s", "uid", trial) for trial in trials(-0.5)]
    seeds = [row.model_copy(update={"value": (row.value or 0) + shift}) for row in rows for shift in (-0.01, 0.01)]
    once, thrice = effect_of("lr", TASK, rows), effect_of("lr", TASK, seeds)
    assert once is not None
    assert thrice is not None
    assert (thrice.effect, thrice.low, thrice.high) == pytest.approx((once.effect, once.low, once.high))
    assert len(thrice.trials) == 2 * len(rows)
    assert effect_of("lr", TASK, seeds[: 2 * (LEAST - 1)]) is None
    fixed = [row.model_copy(update={"config": {**row.config, "lr": 0.07}}) for row in [*seeds, *rows]]
    assert effect_of("lr", TASK, fixed) is None  # one value has no effect


def test_values_that_have_no_place_in_the_range_of_now_are_left_out_of_an_effect(store: SQLiteStore) -> None:
    before = [complete(20 + n, {"lr": value, "opt": "adam"}, 0.5) for n, value in enumerate((-1.0, 0.0, "auto", True))]
    record(store, TASK, "before", "other", before)
    record(store, TASK, "s", "uid", trials(-0.5))
    learn(store, TASK)
    assert only(store, Kind.LESSON).content.endswith(", 8 trials.")


def test_failures_of_one_cause_are_one_note_that_grows(store: SQLiteStore) -> None:
    config = SPACE.default()
    record(store, TASK, "s", "uid", [*trials(-0.5), failed(8, config)])
    learn(store, TASK)
    record(store, TASK, "s", "uid", [failed(9, {**config, "lr": 0.1})])
    learn(store, TASK)
    note = only(store, Kind.FAILURE)
    assert note.evidence is not None
    assert len(note.evidence.trials) == 2
    assert "2 times" in note.content


def test_values_of_any_length_are_kept_whole_and_told_in_short(store: SQLiteStore) -> None:
    prompts = ("a" * 25_000, "b" * 25_000)
    task = TASK.model_copy(
        update={
            "script": "python " + "x" * 30_000,
            "metric": "m" * 30_000,
            "space": Space({**SPACE.parameters, "prompt": Choice(prompts)}),
        }
    )
    done = [replace(one, config={**one.config, "prompt": prompts[one.number % 2]}) for one in trials(-0.5)]
    record(store, task, "s" * 30_000, "uid", [*done, failed(8, done[0].config), failed(9, done[1].config)])
    learn(store, task)
    assert [row.config["prompt"] for row in store.trials(task.id)[:2]] == list(prompts)
    told = {note.kind: note.content for note in store.notes() if note.kind is not Kind.TASK}
    assert set(told) == {Kind.TRIAL, Kind.FAILURE, Kind.LESSON}
    assert "prompt=bbb" in told[Kind.TRIAL]
    assert "failed 2 times (out of memory): boom" in told[Kind.FAILURE]
    assert told[Kind.LESSON].endswith("above 0 is better, 8 trials.")


def test_a_configuration_of_many_values_is_told_in_short(store: SQLiteStore) -> None:
    many = {f"p{number}": "v" * 900 for number in range(100)}
    record(store, TASK, "s", "uid", [failed(0, many), failed(1, many), failed(2, many)])
    learn(store, TASK)
    assert store.trials(TASK.id)[0].config == many
    assert all(len(note.content) < MAX_CONTENT for note in store.notes())


def test_what_no_note_can_hold_is_refused_as_a_fault_of_the_memory(store: SQLiteStore) -> None:
    with pytest.raises(Refused, match=r"`config\.lr"):
        record(store, TASK, "s", "uid", [failed(0, {"lr": [1, 2]})])  # type: ignore[dict-item]
    assert store.count() == 0


def test_past_tasks_come_most_alike_first_without_one_s_own_and_without_hidden_tasks(store: SQLiteStore) -> None:
    record(store, OTHER, "o", "other", trials(-0.5))
    record(store, TASK, "s", "uid", trials(-0.5))
    assert [other.id for other, _ in past_trials(store, TASK)] == [TASK.id, OTHER.id]
    own = {row.id for row in store.trials(TASK.id)}
    assert [other.id for other, _ in past_trials(store, TASK, without=own)] == [OTHER.id]
    assert [other.id for other, _ in past_trials(store, TASK, hidden_tasks=(OTHER.id,))] == [TASK.id]


@pytest.mark.parametrize(("strong", "weak"), [("x", "y"), ("y", "x")])
def test_the_surest_lesson_comes_first_whatever_it_is_called(store: SQLiteStore, strong: str, weak: str) -> None:
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    task = TASK.model_copy(update={"space": space})
    rng = np.random.default_rng(0)
    configs = [space.sample(rng) for _ in range(60)]
    losses = [2 * float(c[strong]) + float(c[weak]) + 0.1 * rng.standard_normal() for c in configs]
    record(store, task, "s", "uid", [complete(i, c, v) for i, (c, v) in enumerate(zip(configs, losses, strict=True))])
    learn(store, task)
    first, second = lessons(store, task)
    assert (f" {strong} from" in first, f" {weak} from" in second) == (True, True)


def test_lessons_of_like_tasks_are_handed_on_and_no_others(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(-0.5))
    learn(store, TASK)
    (lesson,) = lessons(store, TASK)
    assert lesson.startswith("In python train.py, lr from")
    far = Task(script="x", metric="auc", direction=Direction.MAXIMIZE, space=Space({"depth": Float(0.0, 1.0)}))
    assert lessons(store, far) == []
    assert lessons(store, TASK, hidden_tasks=(TASK.id,)) == []


def test_a_person_s_words_on_a_task_do_not_stop_the_next_study(store: SQLiteStore) -> None:
    record(store, TASK, "s", "uid", trials(-0.5))
    store.evolve([Proposal(note=TASK.id, revision=0, author=Author(by="person"), content="my favourite task")])
    assert past_trials(store, TASK) == []


def test_a_flat_curve_is_kept_as_an_underfit_once_the_study_has_done_better(store: SQLiteStore) -> None:
    flat = [1.0, 0.99, 0.985, *([0.98] * 17)]
    done = [complete(0, {"lr": 0.1}, 0.98, flat), complete(1, {"lr": 0.01}, 0.1), complete(2, {"lr": 0.09}, 0.98, flat)]
    record(store, TASK, "s", "uid", done[:1])
    record(store, TASK, "s", "uid", done[1:2], before=done[:1])
    record(store, TASK, "s", "uid", done[2:], before=done[:2])
    record(store, TASK, "all at once", "other", done)
    found = {(row.study, row.number): row.diagnosis for row in store.trials(TASK.id)}
    assert (found["s", 0], found["s", 2]) == ("plateau", "underfitting")
    assert found["all at once", 0] == found["all at once", 2] == "underfitting"


@pytest.mark.parametrize(("extra", "kept"), [({"expected": 0.3}, 0.3), ({}, 0.9)])
def test_a_stopped_trial_is_kept_with_what_it_was_expected_to_reach(extra: dict[str, float], kept: float) -> None:
    stopped = Trial(3, {"lr": 0.1}, State.PRUNED, value=0.9, extra=extra)
    assert past_trial(TASK, "s", "uid", stopped).value == kept
