"""What a tuning study keeps when it is interrupted, and how it mends a launch."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import SPACE, FunctionRunner, Listening

import luthier.graphs.checkpoints as checkpoint_files
from luthier.graphs.events import Said, Stopped, StopReason, TrialStarted
from luthier.graphs.loop import tune_study
from luthier.models.fake import RandomChat
from luthier.predictor.records import WorkflowLog
from luthier.predictor.workflow import workflow_named
from luthier.trials.command import CommandRunner
from luthier.trials.errors import StudyError
from luthier.trials.records import Candidate, Cause, Config, Direction, State, Trial
from luthier.trials.space import Float, Int, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study
from luthier.trials.worker import CallableRunner


class Steps:
    """Candidates that are never twice the same, for tests in which the choice does not matter."""

    name = "steps"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Three of them."""
        units = [16 + len(trials) * 3 + i for i in range(3)]
        return [Candidate(space.clip({"units": u, "x": u / 100}), self.name, f"units {u}") for u in units]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Study]]:
    made: list[Study] = []

    def study(space: Space | None = SPACE, direction: Direction = Direction.MINIMIZE, metric: str = "loss") -> Study:
        made.append(Study.open_or_create(tmp_path / "s", name="s", space=space, metric=metric, direction=direction))
        return made[-1]

    yield study
    for one in made:
        one.close()


def value(config: Config) -> float:
    return float(config["units"])


class Interrupting(FunctionRunner):
    """Presses Ctrl-C in the given run."""

    def __init__(self, at: int) -> None:
        super().__init__(value)
        self._at = at

    def run(self, config: Config, folder: Path, **options: Any) -> Any:
        if len(self.runs) == self._at:
            self.runs.append(config)
            raise KeyboardInterrupt
        return super().run(config, folder, **options)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_ctrl_c_keeps_what_is_finished_and_the_same_call_goes_on(make: Callable[..., Study], at: int) -> None:
    heard, study = Listening(), make()
    with pytest.raises(KeyboardInterrupt):
        tune_study(study, Interrupting(at), budget=Budget(trials=5), advisors=[Steps()], noise=0, listen=heard)
    assert heard.events[-1] == Stopped(StopReason.INTERRUPTED)
    assert len(study.finished) == at
    study.close()

    again, runner = make(), FunctionRunner(value)
    assert tune_study(again, runner, budget=Budget(trials=5), advisors=[Steps()], noise=0) is StopReason.TRIALS
    assert len(runner.runs) == 5 - at
    assert [t.attempt for t in again.finished] == [1 if at and t.number == at else 0 for t in again.finished]
    assert again.trials[at].extra["ran"] == ["summarize", "recall", "advise", "take", "gate", "run", "record"]


class Stop(BaseException):
    """Ends a run between two nodes, as a kill would, but leaves the process."""


def test_a_plan_that_was_paid_for_is_not_asked_for_again(make: Callable[..., Study]) -> None:
    study, model = make(), RandomChat(seed=1)

    def killed_at_critic(event: object) -> None:
        if isinstance(event, Said) and event.role == "critic":
            raise Stop

    options: dict[str, Any] = {"budget": Budget(trials=2), "advisors": [Steps()], "noise": 0, "model": model}
    with pytest.raises(Stop):
        tune_study(study, FunctionRunner(value), listen=killed_at_critic, **options)
    assert study.next_number() == 1
    heard = Listening()
    tune_study(study, FunctionRunner(value), listen=heard, **options)
    roles = [event.role for event in heard.of(Said)]  # type: ignore[attr-defined]
    assert roles[0] == "critic"  # the checkpoint has the plan
    extra = study.trials[1].extra
    assert extra["ran"][:5] == ["summarize", "recall", "advise", "plan", "criticise"]
    assert [line["role"] for line in extra["agents"]][:3] == ["summarizer", "planner", "critic"]
    assert extra["tokens"] > 0


def stopping_at(finish: Callable[..., Trial], last: int) -> Callable[..., Trial]:
    """`Study.finish`, but for a kill before it in the trial `last`."""

    def finishing(number: int, *args: Any, **options: Any) -> Trial:
        if number == last:
            raise Stop
        return finish(number, *args, **options)

    return finishing


def killed(make: Callable[..., Study], runner: FunctionRunner) -> Study:
    """The study, opened again after a kill between the outcome of trial 1 and its record."""
    study = make()
    study.finish = stopping_at(study.finish, 1)  # type: ignore[method-assign]
    with pytest.raises(Stop):
        tune_study(study, runner, budget=Budget(trials=3), advisors=[Steps()], noise=0)
    study.close()
    return make()


def test_an_outcome_that_was_not_recorded_is_not_run_again(make: Callable[..., Study]) -> None:
    runner = FunctionRunner(value)
    again = killed(make, runner)
    assert again.running(1) is not None
    tune_study(again, runner, budget=Budget(trials=3), advisors=[Steps()], noise=0)
    assert len(runner.runs) == 3
    assert [t.attempt for t in again.finished] == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"attempt": 0}'])
def test_a_damaged_outcome_is_none_and_its_trial_runs_again(make: Callable[..., Study], text: str) -> None:
    runner = FunctionRunner(value)
    again = killed(make, runner)
    (again.trial_folder(1) / "outcome.json").write_text(text)
    tune_study(again, runner, budget=Budget(trials=2), advisors=[Steps()], noise=0)
    assert [(t.state, t.attempt) for t in again.finished] == [(State.COMPLETE, 0), (State.COMPLETE, 1)]


def test_a_record_that_a_kill_left_out_is_made_up_for(make: Callable[..., Study]) -> None:
    study = make()
    options: dict[str, Any] = {"advisors": [Steps()], "noise": 0}
    tune_study(study, FunctionRunner(value), budget=Budget(trials=3), **options)
    path = study.folder / "workflows.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2][:40])
    tune_study(study, FunctionRunner(value), budget=Budget(trials=3), **options)
    assert sorted(str(record.task_id) for record in WorkflowLog(path)) == ["s/0", "s/1", "s/2"]


def test_a_workflow_that_is_not_known_any_more_leaves_its_trials_unlogged(make: Callable[..., Study]) -> None:
    study = make()
    options: dict[str, Any] = {"advisors": [Steps()], "noise": 0}
    own = workflow_named("advisors").model_copy(update={"name": "mine"})
    tune_study(study, FunctionRunner(value), budget=Budget(trials=2), workflow=own, **options)
    path = study.folder / "workflows.jsonl"
    path.write_text("")
    tune_study(study, FunctionRunner(value), budget=Budget(trials=3), **options)
    assert [str(record.task_id) for record in WorkflowLog(path)] == ["s/2"]


def test_a_trial_is_logged_late_with_the_model_that_it_had(make: Callable[..., Study]) -> None:
    study = make()
    options: dict[str, Any] = {"advisors": [Steps()], "noise": 0, "workflow": "planner"}
    asked = {"model": RandomChat(seed=1), "model_name": "random"}
    tune_study(study, FunctionRunner(value), budget=Budget(trials=2), **options, **asked)
    path = study.folder / "workflows.jsonl"
    before = list(WorkflowLog(path))
    path.write_text("")
    tune_study(study, FunctionRunner(value), budget=Budget(trials=2), **options)
    assert list(WorkflowLog(path)) == before


def test_another_workflow_does_not_go_on_in_the_old_one_s_checkpoint(make: Callable[..., Study]) -> None:
    study, model = make(), RandomChat(seed=1)

    def killed_at_plan(event: object) -> None:
        if isinstance(event, Said) and event.role == "planner":
            raise Stop

    options: dict[str, Any] = {"budget": Budget(trials=2), "advisors": [Steps()], "noise": 0, "model": model}
    with pytest.raises(Stop):
        tune_study(study, FunctionRunner(value), workflow="planner", listen=killed_at_plan, **options)
    tune_study(study, FunctionRunner(value), workflow="debate", **options)
    assert study.trials[1].extra["ran"][:5] == ["summarize", "recall", "advise", "explore", "exploit"]


def test_a_folder_that_cannot_be_written_is_the_user_s_to_mend(make: Callable[..., Study]) -> None:
    study = make()
    (study.folder / checkpoint_files.FILE).mkdir()
    with pytest.raises(StudyError, match="must be writable"):
        tune_study(study, FunctionRunner(value), budget=Budget(trials=1))


def test_checkpoints_hold_plain_values_only(make: Callable[..., Study]) -> None:
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"
    with checkpoint_files.checkpoints(make().folder) as saver:
        data = saver.serde.dumps_typed(Candidate({}, "x"))
        assert not isinstance(saver.serde.loads_typed(data), Candidate)


SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, required=False)
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()
print('{"loss": %r}' % args.learning_rate)
"""


def test_a_wrong_option_is_repaired_once_for_all_trials(make: Callable[..., Study], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    # argparse takes the beginning of an option for the option, so the wrong name has a letter too many.
    runner = CommandRunner("python train.py --learning-ratee {lr}", cwd=tmp_path, metric="loss", python=sys.executable)
    study = make(Space({"lr": Float(0.01, 1.0, default=0.1)}))
    heard = Listening()
    options: dict[str, Any] = {"noise": 0, "advisors": []}
    tune_study(study, runner, budget=Budget(trials=2), listen=heard, **options)
    coder = [e for e in heard.of(Said) if e.role == "coder"]  # type: ignore[attr-defined]
    assert len(coder) == 1
    assert [t.state for t in study.finished] == [State.COMPLETE] * 2
    first, second = study.finished
    assert first.extra["repairs"] == [{"--learning-ratee": "--learning-rate"}]
    assert first.extra["ran"] == ["summarize", "recall", "advise", "take", "gate", "run", "repair", "run", "record"]
    assert (first.attempt, second.extra["repairs"]) == (0, [])
    # A new process with the same wrong command has learnt it too.
    tune_study(study, runner, budget=Budget(trials=3), listen=heard, **options)
    assert study.trials[2].extra["ran"] == ["summarize", "recall", "advise", "take", "gate", "run", "record"]
    assert len(heard.of(TrialStarted)) == 3


def test_a_crash_that_no_name_explains_is_left_alone(make: Callable[..., Study], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise RuntimeError('no data')")
    runner = CommandRunner("python train.py --lr {lr}", cwd=tmp_path, metric="loss", python=sys.executable)
    study = make(Space({"lr": Float(0.01, 1.0, default=0.1)}))
    tune_study(study, runner, budget=Budget(trials=1), noise=0)
    assert study.trials[0].failure is not None
    assert study.trials[0].failure.cause is Cause.CRASH
    assert study.trials[0].extra["ran"][-3:] == ["run", "repair", "record"]


def growing(trial: Any) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    if x != 0.5:  # the second hyperparameter shows only later
        return float(x + trial.suggest_int("units", 16, 64) / 64)
    return float(x)


def test_a_space_grows_from_what_an_objective_suggests(make: Callable[..., Study]) -> None:
    study, runner = make(None, metric="value"), CallableRunner(growing)
    try:
        tune_study(study, runner, budget=Budget(trials=4), advisors=[Steps()], noise=2)
    finally:
        runner.close()
    assert study.space is not None
    assert study.space.parameters == {"x": Float(0.0, 1.0), "units": Int(16, 64)}
    assert study.trials[0].config == {"x": 0.5}
    assert all(set(t.config) == {"x", "units"} for t in study.finished[1:])
    assert study.noise == [0.5]  # deterministic: one extra run is enough
    again = json.loads((study.folder / "trials" / "1" / "config.json").read_text())
    assert again == dict(study.trials[1].config)


def test_an_objective_that_suggests_nothing_is_told_so(make: Callable[..., Study]) -> None:
    study, runner = make(None, metric="value"), CallableRunner(lambda trial: 1.0)
    try:
        with pytest.raises(StudyError, match="must suggest at least one"):
            tune_study(study, runner, budget=Budget(trials=2), noise=0)
    finally:
        runner.close()
    assert study.trials == []


def test_an_objective_that_fails_before_it_suggests_anything_says_why(make: Callable[..., Study]) -> None:
    study, runner = make(None, metric="value"), CallableRunner(lambda trial: Path("/no/such/data").stat())
    try:
        with pytest.raises(StudyError, match=r"failed before it suggested.*(?s:.)*FileNotFoundError.*/no/such/data"):
            tune_study(study, runner, budget=Budget(trials=2), noise=0)
    finally:
        runner.close()
    assert study.trials == []


def test_finished_trials_leave_no_thread(make: Callable[..., Study]) -> None:
    study = make()
    with pytest.raises(KeyboardInterrupt):
        tune_study(study, Interrupting(2), budget=Budget(trials=4), advisors=[Steps()], noise=0)
    tune_study(study, FunctionRunner(value), budget=Budget(trials=4), advisors=[Steps()], noise=0)
    with sqlite3.connect(study.folder / checkpoint_files.FILE) as connection:
        assert connection.execute("select count(*) from checkpoints").fetchone() == (0,)
    connection.close()
