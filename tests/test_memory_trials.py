"""Past trials as rows: how far configurations are apart, and `luthier memory trials`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luthier import cli
from luthier.memory.distance import distance, nearest
from luthier.memory.note import Kind, PastTrial
from luthier.memory.recording import record
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.task import Task
from luthier.trials.records import Config, Direction, State, Trial
from luthier.trials.space import Choice, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True, default=1e-2),
        "layers": Int(1, 5, default=3),
        "optimizer": Choice(("adam", "sgd"), default="adam"),
        "momentum": Float(0.0, 1.0, default=0.5, when="optimizer == 'sgd'"),
    }
)
ADAM: Config = {"lr": 1e-2, "layers": 3, "optimizer": "adam"}
SGD: Config = {**ADAM, "optimizer": "sgd", "momentum": 0.5}
configs = st.builds(
    lambda lr, layers, optimizer, momentum: SPACE.active(
        {"lr": lr, "layers": layers, "optimizer": optimizer, "momentum": momentum}
    ),
    st.floats(1e-4, 1.0),
    st.integers(1, 5),
    st.sampled_from(["adam", "sgd"]),
    st.floats(0.0, 1.0),
)


@given(configs, configs)
@example({**ADAM, "lr": 1e-4}, {**ADAM, "lr": 1.0000000000000002e-4})  # their logarithms are equal
def test_a_distance_is_one(one: Config, other: Config) -> None:
    assert distance(SPACE, one, one) == 0.0
    assert 0.0 <= distance(SPACE, one, other) <= 1.0
    assert distance(SPACE, one, other) == pytest.approx(distance(SPACE, other, one))
    if distance(SPACE, one, other) == 0.0:
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ADAM, {**ADAM, "lr": 1e-1}, 0.25 / 3),  # a decade of four, and momentum is used by neither
        (ADAM, {**ADAM, "layers": 5}, 0.5 / 3),
        (ADAM, SGD, 2 / 4),  # another choice, and a hyperparameter that one of them alone uses
        (SGD, {**SGD, "momentum": 1.0}, 0.5 / 4),
    ],
)
def test_how_far_configurations_are_apart(one: Config, other: Config, expected: float) -> None:
    assert distance(SPACE, one, other) == pytest.approx(expected)


def test_rows_of_another_space_are_not_near() -> None:
    rows = [
        PastTrial(id=f"trial-{i}", task="task-1", study="s", number=i, config=dict(config), state="complete")
        for i, config in enumerate([SGD, {**ADAM, "lr": 2e-2}, {"lr": 1e-2, "width": 8}])
    ]
    assert [row.number for _, row in nearest(SPACE, ADAM, rows)] == [1, 0]


@pytest.fixture
def task(tmp_path: Path) -> str:
    """The id of a task with four trials in a memory at `memory.db`."""
    store = SQLiteStore(tmp_path / "memory.db")
    known = Task(script="python train.py", metric="loss", direction=Direction.MINIMIZE, space=SPACE)
    tried: list[tuple[Config, float | None]] = [(ADAM, 0.5), (SGD, 0.2), ({**ADAM, "lr": 1e-1}, 0.9), (SGD, None)]
    done = [
        Trial(i, config, State.COMPLETE if value is not None else State.FAILED, value)
        for i, (config, value) in enumerate(tried)
    ]
    record(store, known, "digits", "/digits", done)
    store.close()
    return known.id


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command on that memory as the entry point does."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(*args: str) -> tuple[int, str, str]:
        place = str(tmp_path / "memory.db")
        monkeypatch.setattr(sys, "argv", ["luthier", "memory", "trials", *args, "--memory", place])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


Run = Callable[..., tuple[int, str, str]]


def test_trials_are_listed_best_first_and_failures_last(run: Run, task: str) -> None:
    code, out, _ = run(task, "--json")
    assert code == 0
    assert [row["number"] for row in json.loads(out)] == [1, 0, 2, 3]
    assert {row["distance"] for row in json.loads(out)} == {None}


def test_trials_near_a_configuration_come_with_their_distance(run: Run, task: str) -> None:
    code, out, _ = run(task, "--near", "lr=9e-2, optimizer=adam", "--json")
    rows = json.loads(out)
    assert (code, rows[0]["number"]) == (0, 2)
    assert rows[0]["distance"] < 0.02 < rows[1]["distance"]
    code, out, _ = run(task, "--near", "lr=0.09", "-k", "2")
    assert code == 0
    assert "distance" in out
    assert "optimizer=adam" in out
    assert "2 of 4 trials; -k 4 shows all" in out


@pytest.mark.parametrize(
    ("near", "told"),
    [
        ("lr", "NAME=VALUE"),
        ("lr=[", "NAME=VALUE"),
        ("=1", "NAME=VALUE"),
        ("lr=0.1,lr=0.2", "--near names 'lr' twice"),
        ("layer=2", "unknown hyperparameter 'layer'; did you mean 'layers'?"),
        ("lr=7", "lr must lie in [0.0001, 1] log, but got 7"),
        ("optimizer=adamw", "optimizer must lie in {adam, sgd}"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_2(run: Run, task: str, near: str, told: str) -> None:
    code, out, err = run(task, "--near", near)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_note_that_is_no_task_is_one_line_and_2(run: Run, task: str, tmp_path: Path) -> None:
    with_trial = next(note.id for note in SQLiteStore(tmp_path / "memory.db").notes() if note.kind is Kind.TRIAL)
    assert run(with_trial)[0] == run("task-missing")[0] == 2
