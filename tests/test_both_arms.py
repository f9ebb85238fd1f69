"""What workflows would try from one state: labels, and a study that nobody's asking changes."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged import as_data

from luthier.models.fake import RandomChat, ScriptedChat
from luthier.predictor.errors import LogFault
from luthier.predictor.logs import LoggedWorkflow, Logs, Task
from luthier.predictor.own_logs import write_logs
from luthier.predictor.records import WorkflowLog
from luthier.predictor.sources import read_source
from luthier.predictor.study_logs import SUITE
from luthier.predictor.testing import generated
from luthier.trials.advisors import default_advisors
from luthier.trials.records import Config, Direction
from luthier.trials.space import Float, Int, Space

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import both_arms  # noqa: E402
import both_arms_states as states  # noqa: E402
import ship_predictor  # noqa: E402
import suites  # noqa: E402
import tuning  # noqa: E402
import tuning_prior  # noqa: E402

values = st.floats(-5, 5)
SPACE = Space({"x": Float(0.0, 1.0, default=0.9), "y": Int(1, 10, default=8)})
NAMES = ("advisors", "chance", "planner", "planner-critic", "debate")


def bowl(config: Config) -> float:
    """Best at x = 0.3, y = 3."""
    return (float(config["x"]) - 0.3) ** 2 + abs(float(config["y"]) - 3) / 10


class Counting:
    """An objective that answers worse each time: it remembers."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, config: Config) -> float:
        self.asked += 1
        return bowl(config) + self.asked


def led(objective: suites.Objective = bowl) -> states.Led:
    return states.Led(
        "bowl a", "bowl/a/common/none/0", SPACE, Direction.MINIMIZE, objective, default_advisors(), 0, 8, 0.01
    )


@given(values, values, values, st.floats(0, 1), st.sampled_from(list(Direction)))
def test_outcomes_mirror_each_other_and_are_level_where_nobody_improves(
    value: float, advisors: float, best: float, tie: float, direction: Direction
) -> None:
    found = states.outcome(value, advisors, best, direction, tie)
    assert found == 2 - states.outcome(advisors, value, best, direction, tie)
    assert states.outcome(value, value, best, direction, tie) == 1
    if found == 2:
        assert direction.gain(value, best) > tie
        assert direction.gain(value, advisors) > 0
    if max(direction.gain(value, best), direction.gain(advisors, best)) <= tie:
        assert found == 1


def test_a_failed_trial_gains_nothing() -> None:
    assert states.outcome(math.nan, 1.0, 0.0, Direction.MAXIMIZE, 0.0) == 0
    assert states.outcome(math.nan, -1.0, 0.0, Direction.MAXIMIZE, 0.0) == 1
    assert states.outcome(2.0, math.nan, 0.0, Direction.MAXIMIZE, 0.0) == 2


def test_all_workflows_plan_from_one_state_and_leave_it_as_it_is() -> None:
    study = states.Open(led(Counting()))
    try:
        study.advance(5)
        first = list(study.records(NAMES, RandomChat(), "random", 5))
        again = list(study.records(NAMES, RandomChat(), "random", 5))
    finally:
        study.close()
    assert [r.model_dump(exclude={"model_seconds"}) for r in first] == [
        r.model_dump(exclude={"model_seconds"}) for r in again
    ]
    assert [states.workflow_of(record) for record in first] == list(NAMES)
    assert len({(record.task_id, record.index, record.best_before, record.advisors_value) for record in first}) == 1
    told = [record.model_dump() for record in first]
    assert (told[0]["label"], told[0]["runs"], told[0]["successes"]) == (0, 2, 1)
    assert all(facts["label"] == int(facts["successes"] == 2) for facts in told)
    assert all(facts["ran"][0] == "summarize" and not {"gate", "run"} & set(facts["ran"]) for facts in told)


def test_equal_questions_are_asked_once() -> None:
    model = ScriptedChat.of(["one", "two"])
    once = states.OnceChat(inner=model)
    said = [once.invoke("a", timeout=1.0), once.invoke("a", timeout=2.0), once.invoke("b", timeout=1.0)]
    assert [answer.text for answer in said] == ["one", "one", "two"]
    assert len(model.calls) == 2


@pytest.fixture
def bowls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A suite of two bowls under every name."""

    class Suite:
        name, defaults = "bowl", ("common", "none")

        def tasks(self, data: Path | None) -> list[str]:
            return ["a", "b"]

        def task(self, data: Path | None, name: str) -> suites.Task:
            return suites.Task(
                name, SPACE, Direction.MINIMIZE, lambda: bowl, lambda: [0.0, 0.5, 1.0], lambda default, seed: []
            )

    monkeypatch.setattr(suites, "find_suite", lambda name: Suite())
    monkeypatch.setattr(suites, "normaliser", lambda suite, task: suites.Normaliser(0.0, 0.5, 1.0, 3))
    tuning.load.cache_clear()
    yield
    tuning.load.cache_clear()


@pytest.mark.usefixtures("bowls")
def test_a_run_is_logs_to_learn_from_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    told = [
        "--data",
        str(tmp_path),
        "--suites",
        "bowl",
        "--model",
        "none",
        "--memory",
        "none",
        "--each",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert both_arms.main([*told, "--states", "1", "--workflows", "planner"]) == 0
    assert both_arms.main([*told, "--states", "2", "--workflows", "planner,debate"]) == 0
    assert both_arms.main([*told, "--states", "2", "--workflows", "planner,debate"]) == 0
    records = list(WorkflowLog(tmp_path / "bowl" / states.FILE))
    assert len({(record.task_id, states.workflow_of(record)) for record in records}) == len(records) == 6
    found = read_source(tmp_path)
    assert (len(found.logs), found.skipped, found.logs.runs.sum()) == (6, 0, 12)
    assert set(found.logs.suite) == {"tuning"}


@pytest.mark.usefixtures("bowls")
def test_each_suite_is_asked_about_by_what_was_learnt_from_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--data", str(tmp_path), "--model", "none", "--memory", "none", "--each", "1", "--out", str(tmp_path)]
    assert both_arms.main([*told, "--suites", "one,other", "--states", "4", "--workflows", "chance"]) == 0
    monkeypatch.setattr(sys, "argv", ["tuning_prior.py", str(tmp_path), "--embedder", "none"])
    monkeypatch.setenv("COLUMNS", "160")
    capsys.readouterr()
    tuning_prior.main()
    out = capsys.readouterr().out
    assert "one, asked about other (2)" in out
    assert all(f"{suite}: chance" in out for suite in ("one", "other"))


@pytest.mark.usefixtures("bowls")
def test_an_unknown_workflow_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert both_arms.main(["--data", str(tmp_path), "--workflows", "plannr"]) == 2
    assert "planner" in capsys.readouterr().err


def test_a_suite_is_left_out_with_all_that_shares_its_tasks() -> None:
    flows = tuple(
        LoggedWorkflow(f"w{i}", suite, (f"step {i}",)) for i, suite in enumerate(("A", "A-small", "B", SUITE))
    )
    tasks = (*(Task(f"{i}", s, f"t{i}") for i, s in enumerate("AB")), *(Task(f"{s}/{s}/1", SUITE, s) for s in "xy"))
    places = np.array([(0, 0), (1, 0), (2, 1), (3, 2), (3, 3)])
    ones = np.ones(5, int)
    logs = Logs(flows, tasks, places[:, 0], places[:, 1], runs=ones, successes=ones)
    for names, left in (
        ((), 5),
        (("A",), 3),
        (("A-small",), 3),
        (("B",), 4),
        ((SUITE,), 3),
        (("x",), 4),
        (("x", "B"), 3),
    ):
        assert len(ship_predictor.without(logs, names)) == left, names
    with pytest.raises(ValueError, match="must be one of A, A-small, B, tuning, x, y, but got C"):
        ship_predictor.without(logs, ["C"])


def test_logs_are_put_together_as_if_they_were_read_from_one_folder(tmp_path: Path) -> None:
    logs = generated()
    named = tuple(replace(workflow, id=f"again {workflow.id}") for workflow in logs.workflows)
    parts = [logs.take(np.arange(9, len(logs))), logs.take(np.arange(20)), replace(logs, workflows=named)]
    for number, part in enumerate(parts):
        write_logs(part, tmp_path / f"{number}.jsonl")
    found = ship_predictor.together(parts)
    assert as_data(found) == as_data(read_source(tmp_path).logs)
    assert (len(found), found.runs.sum()) == (2 * len(logs), sum(part.runs.sum() for part in parts))
    other = replace(logs, tasks=tuple(replace(task, text="another") for task in logs.tasks))
    with pytest.raises(LogFault, match="source 2: an id must stand for one task"):
        ship_predictor.together([logs, other])


def test_the_version_that_ships_is_not_replaced_by_one_that_lacks_a_suite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ship_predictor.py", "--data", "nowhere", "--without", "GSM8K"])
    with pytest.raises(SystemExit) as ended:
        ship_predictor.main()
    assert ended.value.code == 2
    assert "--out" in capsys.readouterr().err
