"""The runner of callables: Optuna's words, a warm process, growth of the space."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from luthier.trials.errors import InputError
from luthier.trials.records import Cause, Outcome, State
from luthier.trials.runner import Limits
from luthier.trials.space import Choice, Float, Int, Space
from luthier.trials.worker import GRACE, CallableRunner

Run = Callable[..., Outcome]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., CallableRunner]]:
    made: list[CallableRunner] = []

    def build(objective: Any, **options: Any) -> CallableRunner:
        made.append(CallableRunner(objective, **options))
        return made[-1]

    yield build
    for runner in made:
        runner.close()


def quadratic(trial: optuna.Trial) -> float:
    """An Optuna objective as people write them."""
    x = trial.suggest_float("x", -10, 10)
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    units = trial.suggest_int("units", 16, 256, step=16)
    kind = trial.suggest_categorical("kind", ["sgd", "adam", None])
    if kind == "sgd":
        trial.suggest_float("momentum", 0.0, 0.9)
    for step in range(3):
        trial.report(x**2 + step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("units", units)
    assert trial.params["lr"] == lr
    return x**2


def test_an_optuna_objective_runs_in_optuna_and_here(start: Any, tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(quadratic, n_trials=3)
    runner = start(quadratic)
    for trial in study.trials:
        params = {k: str(v) if v is None else v for k, v in trial.params.items()}
        assert runner.run(params, tmp_path / str(trial.number)).value == trial.value
        assert runner.used == params


def test_the_first_trial_is_the_middle_and_grows_the_space(start: Any, tmp_path: Path) -> None:
    runner = start(quadratic)
    outcome = runner.run({}, tmp_path / "0")
    assert runner.suggested == {
        "x": Float(-10.0, 10.0),
        "lr": Float(1e-5, 1e-1, log=True),
        "units": Int(16, 256, step=16),
        "kind": Choice(("sgd", "adam", "None")),
    }
    middle = Space(runner.suggested).default()
    assert runner.used == middle
    assert json.loads((tmp_path / "0" / "config.json").read_text()) == middle
    assert (outcome.state, outcome.value) == (State.COMPLETE, 0.0)
    assert outcome.trajectory.curve("value") == ((0, 0.0), (1, 1.0), (2, 2.0))
    assert runner.user_attrs == {"units": middle["units"]}
    # A branch that is taken later grows it further.
    runner.run({**middle, "kind": "sgd"}, tmp_path / "1")
    assert runner.suggested["momentum"] == Float(0.0, 0.9)
    assert runner.used["momentum"] == 0.45


def test_choices_keep_their_types(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        flag = trial.suggest_categorical("flag", [False, True])
        number = trial.suggest_categorical("number", [1, 2.5])
        shape = trial.suggest_categorical("shape", [(1, 2), (3, 4)])
        assert flag is True
        assert isinstance(number, int)
        return float(shape[0])

    assert start(objective).run({"flag": True, "number": 1, "shape": "(3, 4)"}, tmp_path / "0").value == 3.0


def test_a_name_means_one_value_and_its_range(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        assert trial.suggest_float("x", 0, 1) == trial.suggest_float("x", 0, 1)
        assert trial.suggest_int("fixed", 3, 3) == 3
        return float(trial.suggest_float("x", 0, 1))

    runner = start(objective)
    assert runner.run({"x": 7.0}, tmp_path / "0").value == 1.0
    assert "fixed" not in runner.suggested


def test_the_listener_is_asked_by_should_prune(start: Any, tmp_path: Path) -> None:
    runner = start(quadratic)
    begin = time.monotonic()
    outcome = runner.run({"x": 2.0}, tmp_path / "0", on_report=lambda step, metrics: step == 1)
    assert (outcome.state, outcome.value) == (State.PRUNED, 5.0)
    assert time.monotonic() - begin < GRACE  # it went by itself


def test_an_objective_may_prune_itself(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        trial.report(0.5, 0)
        raise optuna.TrialPruned

    assert start(objective).run({}, tmp_path / "0").state is State.PRUNED


def test_the_worker_stays_warm_and_is_replaced_when_it_must_be(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> dict[str, float]:
        how = trial.suggest_categorical("how", ["well", "raise", "memory", "kill", "exit", "hang"])
        if how == "raise":
            raise ValueError("a usual mistake")
        if how == "memory":
            raise MemoryError
        if how == "kill":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "exit":
            os._exit(0)
        if how == "hang":
            time.sleep(60)
        return {"value": 1.0, "pid": float(os.getpid())}

    runner = start(objective, limits=Limits(seconds=1.0))
    pids, causes = [], []
    for number, how in enumerate(
        ["well", "raise", "well", "memory", "well", "kill", "well", "exit", "well", "hang", "well"]
    ):
        outcome = runner.run({"how": how}, tmp_path / str(number))
        if how == "well":
            assert outcome.state is State.COMPLETE, outcome.failure
            pids.append(outcome.metrics["pid"])
        else:
            assert outcome.failure is not None
            causes.append(outcome.failure.cause)
    assert causes == [Cause.CRASH, Cause.OUT_OF_MEMORY, Cause.CRASH, Cause.CRASH, Cause.TIMEOUT]
    # Inside bubblewrap ids begin anew, so only what stayed the same can be told.
    assert pids[0] == pids[1]


def test_a_warm_worker_keeps_what_it_loaded(start: Any, tmp_path: Path) -> None:
    calls: list[int] = []

    def objective(trial: Any) -> float:
        calls.append(1)
        return float(len(calls))

    runner = start(objective)
    assert [runner.run({}, tmp_path / str(i)).value for i in range(3)] == [1.0, 2.0, 3.0]
    assert calls == []


def test_prints_and_reports_go_to_the_right_trial(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        import luthier

        print(f"this is trial {trial.number} in {os.environ['LUTHIER_TRIAL']}")
        luthier.report(0, loss=trial.number)
        return 0.0

    runner = start(objective)
    for number in (3, 8):
        outcome = runner.run({}, tmp_path / str(number))
        log = (tmp_path / str(number) / "log.txt").read_text()
        assert log.startswith(f"this is trial {number} in {tmp_path / str(number)}\n")
        assert log.count("this is") == 1
        assert outcome.metrics == {"loss": number, "value": 0.0}


@pytest.mark.parametrize(
    ("result", "words"),
    [("text", "must return a number"), ([1.0, 2.0], "must return a number"), (None, "never reported")],
)
def test_a_wrong_result_is_explained(start: Any, tmp_path: Path, result: Any, words: str) -> None:
    outcome = start(lambda trial: result).run({}, tmp_path / "0")
    assert outcome.failure is not None
    assert words in outcome.failure.detail


def test_numbers_of_libraries_are_results(start: Any, tmp_path: Path) -> None:
    import numpy as np

    assert start(lambda trial: np.float32(0.5)).run({}, tmp_path / "0").value == 0.5


def test_what_cannot_be_sent_is_explained() -> None:
    lock = threading.Lock()
    with pytest.raises(InputError, match="create what it cannot take along"):
        CallableRunner(lambda trial: lock.locked())


def test_attributes_must_be_json(start: Any, tmp_path: Path) -> None:
    outcome = start(lambda trial: trial.set_user_attr("key", object())).run({}, tmp_path / "0")
    assert outcome.failure is not None
    assert "not JSON serializable" in outcome.failure.detail


def test_garbage_on_the_socket_is_a_crash(start: Any, tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        if trial.number == 0:
            trial._channel._connection.sendall(b"\xff garbage\n")
            time.sleep(60)
        return 1.0

    runner = start(objective)
    outcome = runner.run({}, tmp_path / "0")
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.CRASH
    assert runner.run({}, tmp_path / "1").value == 1.0


def test_an_objective_of_a_module_next_to_the_caller(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_of_test_worker.py").write_text("def objective(trial):\n    return trial.suggest_int('n', 1, 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    import mine_of_test_worker

    assert start(mine_of_test_worker.objective).run({"n": 4}, tmp_path / "0").value == 4.0
