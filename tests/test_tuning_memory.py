"""The tuning graph with a memory: a study starts where the last one ended, and a memory that fails stops nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import SPACE, FunctionRunner, Listening, complete
from langchain_core.messages import BaseMessage

import luthier
from luthier.graphs.events import Said, Warned
from luthier.graphs.loop import tune_study
from luthier.graphs.remembering import Recalled, StudyMemory
from luthier.memory.errors import MemoryFileError
from luthier.memory.note import Kind, Note, PastTrial
from luthier.memory.place import memory_path
from luthier.memory.recording import past_trial, record
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.task import Task
from luthier.models.errors import ModelDown
from luthier.models.fake import RandomChat, Scripted, ScriptedChat
from luthier.trials.advisor import Advisor
from luthier.trials.errors import SpecError
from luthier.trials.records import Candidate, Config, Direction, Trial
from luthier.trials.space import Choice, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study


def bowl(config: Config) -> float | None:
    """Best at lr 0.05 and 300 units; the largest networks do not fit."""
    if float(config["units"]) > 440:
        return None
    return (math.log10(float(config["lr"])) + 1.3) ** 2 + (math.log2(float(config["units"])) - 8.2) ** 2


def hill(config: Config) -> float:
    """Worst where the bowl is best."""
    return -((math.log10(float(config["lr"])) + 1.3) ** 2) - (math.log2(float(config["units"])) - 8.2) ** 2


def wave(x: float, y: float, start: float, config: Config) -> float:
    """Goes up and down along a direction of its own."""
    lr, units, *_ = SPACE.to_unit(config)
    return math.sin(x * lr + y * units + start)


def tuned(folder: Path, memory: StudyMemory | None, trials: int = 8, **options: Any) -> tuple[Study, Listening]:
    study = Study.open_or_create(folder, name=folder.name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    heard = Listening()
    budget = Budget(trials=trials)
    tune_study(study, FunctionRunner(bowl), budget=budget, noise=0, memory=memory, listen=heard, **options)
    return study, heard


def said(heard: Listening) -> list[str]:
    return [event.text for event in heard.events if isinstance(event, Said) and event.role == "memory"]


@pytest.fixture
def memory(tmp_path: Path) -> StudyMemory:
    return StudyMemory(SQLiteStore(tmp_path / "memory.db"), script="python train.py", place="here")


def values(study: Study) -> list[float]:
    return [t.value for t in study.finished if t.value is not None]


def test_the_second_study_starts_where_the_first_one_ended_and_says_so(tmp_path: Path, memory: StudyMemory) -> None:
    first, heard = tuned(tmp_path / "a", memory, 12)
    assert said(heard) == []
    second, heard = tuned(tmp_path / "b", memory, 4)
    assert len(said(heard)) == 1
    assert said(heard)[0].startswith("starts from 12 earlier trials of this very task, with loss")
    assert [t.source for t in second.finished[:2]] == ["default", "transfer"]
    assert min(values(second)[:3]) <= min(values(first)) + 0.2  # three trials come near what took twelve


def others(memory: StudyMemory, losses: Sequence[Callable[[Config], float]]) -> None:
    """Studies of other scripts with the same hyperparameters, 25 random trials each, which the memory keeps."""
    rng = np.random.default_rng(0)
    for number, loss in enumerate(losses):
        task = Task(script=f"python {number}.py", metric="loss", direction=Direction.MINIMIZE, space=SPACE)
        configs = [SPACE.sample(rng) for _ in range(25)]
        trials = [complete(i, config, loss(config)) for i, config in enumerate(configs)]
        record(memory.store, task, "other", f"other-{number}", trials)


def test_studies_that_go_different_ways_are_left_aside_and_it_says_so(tmp_path: Path, memory: StudyMemory) -> None:
    waves = np.random.default_rng(0).normal(0, 3, (8, 3))
    others(memory, [partial(wave, x, y, start) for x, y, start in waves])
    study, heard = tuned(tmp_path / "a", memory, 3)
    assert said(heard) == ["leaves 200 earlier trials of 8 other tasks aside, since what they show goes different ways"]
    assert "transfer" not in {trial.source for trial in study.finished}


def test_where_only_the_very_task_is_started_from_the_others_are_said_to_be_left_aside(
    tmp_path: Path, memory: StudyMemory
) -> None:
    waves = np.random.default_rng(0).normal(0, 3, (8, 3))
    others(memory, [partial(wave, x, y, start) for x, y, start in waves])
    tuned(tmp_path / "a", memory, 8)
    _, heard = tuned(tmp_path / "b", memory, 2)
    (told,) = said(heard)
    assert told.startswith("starts from 8 earlier trials of this very task, with loss")
    assert ", and leaves 200 earlier trials of 8 other tasks aside, since what they show goes different ways" in told


def test_a_memory_that_contradicts_the_study_is_told_once(tmp_path: Path, memory: StudyMemory) -> None:
    others(memory, [hill] * 3)
    study, heard = tuned(tmp_path / "a", memory, 14)
    told = [event.text for event in heard.events if isinstance(event, Warned)]
    assert [text for text in told if "little to do with the past ones" in text] == told
    assert len(told) == 1
    assert study.finished[1].source == "transfer"
    assert study.finished[-1].source != "transfer"


def test_with_a_model_too_the_first_trials_are_what_was_best_before(tmp_path: Path, memory: StudyMemory) -> None:
    first, _ = tuned(tmp_path / "a", memory, 8)
    second, _ = tuned(tmp_path / "b", memory, 4, model=RandomChat(seed=1), workflow="planner")
    assert first.best is not None
    assert [t.source for t in second.finished[:3]] == ["default", "transfer", "transfer"]
    assert second.finished[1].config == first.best.config


class Stop(BaseException):
    """Ends a run, as a kill would, but leaves the process."""


class Stopping:
    """An advisor that ends the run when it is asked for the second trial: after `recall`, before `advise` has ended."""

    name = "stopping"

    def advise(self, space: Space, trials: Sequence[Trial], *args: Any, **options: Any) -> list[Candidate]:
        if trials:
            raise Stop
        return []


class UntilAdvise(StudyMemory):
    """A memory in whose company no second trial is advised."""

    def recall(self, study: Study, space: Space, advisors: Sequence[Advisor]) -> Recalled:
        return replace(super().recall(study, space, advisors), advisors=[Stopping()])


def test_a_trial_resumed_past_the_recall_has_what_the_memory_recalled(tmp_path: Path, memory: StudyMemory) -> None:
    tuned(tmp_path / "a", memory, 6)
    with pytest.raises(Stop):
        tuned(tmp_path / "b", UntilAdvise(memory.store, memory.script, memory.place), 2)
    again = StudyMemory(memory.store, memory.script, memory.place)  # as another process has it
    study, heard = tuned(tmp_path / "b", again, 2)
    assert said(heard) == []  # the node was not run again: the checkpoint is past it
    assert [trial.source for trial in study.finished] == ["default", "transfer"]
    assert study.finished[1].extra["ran"][:3] == ["summarize", "recall", "advise"]


def test_a_study_that_goes_on_does_not_recall_itself(tmp_path: Path, memory: StudyMemory) -> None:
    tuned(tmp_path / "a", memory, 6)
    study, heard = tuned(tmp_path / "a", memory, 8)
    assert said(heard) == []
    assert {t.source for t in study.finished} == {"default", "bayes"}
    assert memory.store.count(Filter(kinds=(Kind.TRIAL,))) == 8


def test_what_a_kill_kept_from_the_memory_is_given_to_it_later(tmp_path: Path, memory: StudyMemory) -> None:
    tuned(tmp_path / "a", None, 6)
    assert memory.store.count() == 0
    tuned(tmp_path / "a", memory, 6)
    assert memory.store.count(Filter(kinds=(Kind.TRIAL,))) == 6
    assert memory.store.count(Filter(kinds=(Kind.TASK,))) == 1


def test_a_hidden_task_is_not_recalled(tmp_path: Path, memory: StudyMemory) -> None:
    tuned(tmp_path / "a", memory, 8)
    (task,) = memory.store.notes(Filter(kinds=(Kind.TASK,)))
    blind = StudyMemory(memory.store, "python train.py", "here", hidden_tasks=(task.id,))
    study, heard = tuned(tmp_path / "b", blind, 3)
    assert said(heard) == []
    assert "transfer" not in {t.source for t in study.finished}


class Broken(SQLiteStore):
    """A memory on a disk that has filled up."""

    def add(self, *given: Any, **more: Any) -> list[str]:
        raise MemoryFileError("memory.db must have room to grow, but is not (disk full); free the disk")


def test_a_memory_that_fails_is_told_once_and_no_trial_is_lost(tmp_path: Path) -> None:
    broken = StudyMemory(Broken(tmp_path / "memory.db"), "python train.py")
    study, heard = tuned(tmp_path / "a", broken, 5)
    assert len(study.finished) == 5
    assert [e.text for e in heard.events if isinstance(e, Warned)] == [
        "memory.db must have room to grow, but is not (disk full); free the disk; the study goes on without the memory"
    ]


def test_lessons_reach_the_agents_context(tmp_path: Path, memory: StudyMemory) -> None:
    def slope(config: Config) -> float:
        return -math.log10(float(config["lr"]))

    for name in ("a", "b"):
        study = Study.create(
            tmp_path / name, name=name, space=SPACE, metric="loss", direction=Direction.MINIMIZE, seed=len(name)
        )
        budget = Budget(trials=12)
        heard = Listening()
        tune_study(study, FunctionRunner(slope), budget=budget, noise=0, memory=memory, listen=heard)
    (words,) = said(heard)
    assert "lr from" in words
    assert "better loss" in words


def objective(trial: Any) -> float:
    x: float = trial.suggest_float("x", 0.0, 1.0)
    return (x - 0.7) ** 2


def test_from_python_the_user_s_own_memory_is_used_unless_told_otherwise(tmp_path: Path) -> None:
    luthier.tune(objective, name="none", trials=6, model="none", folder=tmp_path / "none", remember=False)
    assert not memory_path().exists()
    luthier.tune(objective, name="a", trials=6, model="none", folder=tmp_path / "a")
    study = luthier.tune(objective, name="b", trials=4, model="none", folder=tmp_path / "b")
    sources: list[Trial] = study.finished
    assert "transfer" in {trial.source for trial in sources}


def test_prompts_of_any_length_are_tuned_and_remembered(tmp_path: Path) -> None:
    prompts = ("a" * 25_000, "b" * 25_000)

    def asked(trial: Any) -> float:
        return float(trial.suggest_categorical("prompt", prompts) == prompts[1])

    heard = Listening()
    study = luthier.tune(asked, trials=2, model="none", folder=tmp_path / "a", on_event=heard)
    assert len(study.finished) == 2
    assert heard.of(Warned) == []
    assert SQLiteStore(memory_path()).count(Filter(kinds=(Kind.TRIAL,))) == 2


def failing_at_times(trial: Any) -> float:
    if (x := trial.suggest_float("x", 0.0, 1.0)) > 0.8:
        raise RuntimeError("too large")
    return float((x - 0.7) ** 2)


def test_facts_of_the_data_make_tasks_more_or_less_alike(tmp_path: Path) -> None:
    for rows in (1000, 5, 900):
        data = {"rows": rows}
        luthier.tune(failing_at_times, name=f"s{rows}", trials=4, model="none", folder=tmp_path / str(rows), data=data)
    store = SQLiteStore(memory_path())
    read = [Task.read(note) for note in store.notes(Filter(kinds=(Kind.TASK,)))]
    tasks = {task.features["rows"]: task for task in read if task is not None}
    assert set(tasks) == {1000.0, 5.0, 900.0}
    assert tasks[1000.0].likeness(tasks[900.0]) > tasks[1000.0].likeness(tasks[5.0]) + 0.05
    with pytest.raises(SpecError, match=r"`data.rows` is wrong: .* number, .*'many'; write it like `data: "):
        luthier.tune(failing_at_times, folder=tmp_path / "wrong", data={"rows": "many"})  # type: ignore[dict-item]
    assert not (tmp_path / "wrong").exists()


PATHS = tuple(f"/data/collections/of/pictures/for/training/part-{number:05d}.tar" for number in range(900))


def of_path(trial: Any) -> float:
    return float(PATHS.index(trial.suggest_categorical("path", PATHS)))


def test_a_wide_space_is_remembered_too(tmp_path: Path) -> None:
    luthier.tune(of_path, name="a", trials=5, model="none", folder=tmp_path / "a")
    heard = Listening()
    second = luthier.tune(of_path, name="b", trials=3, model="none", folder=tmp_path / "b", on_event=heard)
    (line,) = said(heard)
    assert line.startswith("starts from 5 earlier trials of this very task")
    assert line.endswith("; no lesson of them is sure yet")
    assert "transfer" in {trial.source for trial in second.finished}


def test_a_space_that_is_too_wide_for_the_memory_is_told_once(tmp_path: Path) -> None:
    huge = Space({"path": Choice(("a" * 600_000, "b" * 600_000))})
    heard = Listening()
    luthier.tune(
        lambda trial: float(len(trial.suggest_categorical("path", huge["path"].choices))),
        huge,
        trials=2,
        model="none",
        folder=tmp_path / "a",
        on_event=heard,
    )
    (warned,) = [event.text for event in heard.events if isinstance(event, Warned)]
    assert "a task must have at most 1,000,000 characters, not 1,200," in warned


ODD = [
    {"state": "somewhere"},
    {"cause": "somehow", "state": "failed", "value": None},
    {"value": math.inf},
    {"value": math.nan},
    {"config": {"lr": "fast", "units": 64, "optimizer": "adam"}},
    {"config": {"lr": -1.0, "units": 64, "optimizer": 3}},
    {"config": {"lr": math.nan, "units": 64, "optimizer": "adam"}},
    {"config": {}},
    {"seconds": math.nan},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_rows_that_no_study_wrote_stop_none(tmp_path: Path, memory: StudyMemory, odd: dict[str, Any]) -> None:
    task = Task(script="python train.py", metric="loss", direction=Direction.MINIMIZE, space=SPACE, place="here")
    trials = [complete(n, {**SPACE.default(), "lr": 0.01 * n + 0.01}, 0.1 * n) for n in range(8)]
    rows = [past_trial(task, "s", "uid", trial) for trial in trials]
    rows = [PastTrial.model_validate({**row.model_dump(), **(odd if row.number > 5 else {})}) for row in rows]
    notes = [Note(id=row.id, kind=Kind.TRIAL, content="x", task=task.id) for row in rows]
    memory.store.add([task.note("s"), *notes], trials=rows)
    study, _ = tuned(tmp_path / "a", memory, 3)
    assert len(study.finished) == 3


class Unfit(SQLiteStore):
    """A memory that makes a record which breaks a rule of its fields."""

    def trials(self, task: str) -> Any:
        return Note.model_validate({})


def test_a_record_that_cannot_be_made_stops_no_study(tmp_path: Path) -> None:
    study, heard = tuned(tmp_path / "a", StudyMemory(Unfit(tmp_path / "memory.db"), "python train.py"), 3)
    assert len(study.finished) == 3
    (warned,) = [event.text for event in heard.events if isinstance(event, Warned)]
    assert warned.endswith("the study goes on without the memory")


def described(messages: list[BaseMessage]) -> Scripted:
    """Says something of a note, and nothing of a trial."""
    if "Answer as JSON" not in str(messages[-1].text):
        return "I do not know"
    if "Its neighbours:" in str(messages[-1].text):
        return {"links": [], "refined": []}
    return {"keywords": ["memory of the card"], "tags": [], "context": "What did not fit."}


def test_at_a_study_s_end_the_model_works_over_what_was_learnt_if_it_is_asked_to(
    tmp_path: Path, memory: StudyMemory
) -> None:
    def failing(config: Config) -> float | None:
        return None if float(config["units"]) > 20 else 1.0

    def notes() -> list[str]:
        return [note.context for note in memory.store.notes(Filter(kinds=(Kind.FAILURE,)))]

    for name, seconds, changed in (("a", 0.0, False), ("b", 60.0, True)):
        study = Study.create(tmp_path / name, name=name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
        heard, model = Listening(), ScriptedChat.of(described)
        asked: dict[str, Any] = {"model": model, "model_name": "tiny", "workflow": "advisors", "evolve": seconds}
        tune_study(
            study, FunctionRunner(failing), budget=Budget(trials=3), noise=0, memory=memory, listen=heard, **asked
        )
        assert [line.startswith("tiny read 1 note in") for line in said(heard)[-1:]] == [changed] or not changed
        assert ["What did not fit." in context for context in notes()] == [changed]
        assert bool(model.calls) == changed


def test_a_wrong_embedder_is_told_once(tmp_path: Path, memory: StudyMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_EMBEDDER", "olama:other")
    model = ScriptedChat.of(described)
    asked: dict[str, Any] = {"model": model, "model_name": "tiny", "workflow": "advisors", "evolve": 60.0}
    _, heard = tuned(tmp_path / "a", memory, 3, **asked)
    warned = [event.text for event in heard.events if isinstance(event, Warned) and "LUTHIER_EMBEDDER" in event.text]
    assert len(warned) == 1


def test_a_model_that_fails_at_the_notes_is_told_once(tmp_path: Path, memory: StudyMemory) -> None:
    model = ScriptedChat.of(lambda messages: ModelDown("nobody is there"))
    asked: dict[str, Any] = {"model": model, "model_name": "tiny", "workflow": "advisors", "evolve": 60.0}
    _, heard = tuned(tmp_path / "a", memory, 12, **asked)
    warned = [event.text for event in heard.events if isinstance(event, Warned) and "tiny" in event.text]
    assert len(warned) == 1
    assert "nobody is there" in warned[0]
    assert all(note.author.by == "code" for note in memory.store.notes())
