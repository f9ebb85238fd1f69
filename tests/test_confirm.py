"""Confirmation: a tie is called a tie, direction is respected, runs resume."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.confirm import compare, confirm, paired_interval
from luthier.page import confirmation_lines
from luthier.trials.command import CommandRunner
from luthier.trials.records import Candidate, Config, Direction, Outcome, State
from luthier.trials.runner import OnReport
from luthier.trials.space import Float, Space
from luthier.trials.study import Study


class TableRunner:
    """A runner whose value is `x` plus a tenth of the seed's last digit; counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        self.runs += 1
        value = float(config["x"]) + (seed % 10) / 10
        return Outcome(State.COMPLETE, value, {"value": value, "test_accuracy": 2 * value})

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    space = Space({"x": Float(0.0, 10.0, default=1.0)})
    made = Study.create(tmp_path / "s", name="s", space=space, metric="value", direction=Direction.MAXIMIZE)
    for number, x in enumerate((1.0, 3.0)):
        made.begin(number, Candidate({"x": x}, "test"))
        made.finish(number, Outcome(State.COMPLETE, x, {"value": x}))
    return made


def test_best_beats_default_on_the_metric_and_on_the_test_metric(study: Study) -> None:
    found = confirm(study, TableRunner(), seeds=3)
    assert found is not None
    assert [c.metric for c in found.comparisons] == ["value", "test_accuracy"]
    assert [c.verdict for c in found.comparisons] == ["better", "better"]
    assert found.comparisons[0].gain == pytest.approx(2.0)


def test_a_second_confirmation_runs_nothing_again(study: Study) -> None:
    first, second = TableRunner(), TableRunner()
    assert confirm(study, first, seeds=3) == confirm(study, second, seeds=3)
    assert (first.runs, second.runs) == (6, 0)


@pytest.mark.parametrize(("other", "noise", "compared"), [(1.4, [1.5], True), (2.0, [1.5], False), (1.4, [], False)])
def test_where_the_default_is_best_the_next_best_stands_in_if_it_is_close(
    tmp_path: Path, other: float, noise: list[float], compared: bool
) -> None:
    space = Space({"x": Float(0.0, 10.0, default=1.0)})
    study = Study.create(tmp_path / "s", name="s", space=space, metric="value", direction=Direction.MINIMIZE)
    for number, x in enumerate((1.0, 5.0, other)):
        study.begin(number, Candidate({"x": x}, "test"))
        study.finish(number, Outcome(State.COMPLETE, x, {"value": x}))
    for value in noise:
        study.add_noise(value)
    found = confirm(study, TableRunner(), seeds=3)
    assert (found is not None) == compared
    if found is not None:
        assert found.trial == 2
        assert confirmation_lines(found, best=0)[0] == "On 3 fresh seeds, trial 2, the next best, against default:"


def test_a_launch_that_was_repaired_in_the_search_is_repaired_here_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import sys\nassert sys.argv[1] == '--lr', sys.argv\nprint('{\"value\": %s}' % sys.argv[2])"
    )
    runner = CommandRunner("python train.py --lrate {x}", cwd=tmp_path, metric="value")
    space = Space({"x": Float(0.0, 10.0, default=1.0)})
    study = Study.create(tmp_path / "s", name="s", space=space, metric="value", direction=Direction.MAXIMIZE)
    for number, x in enumerate((1.0, 3.0)):
        study.begin(number, Candidate({"x": x}, "test"))
        extra = {"repairs": [{"--lrate": "--lr"}]} if number == 0 else {}
        study.finish(number, Outcome(State.COMPLETE, x, {"value": x}), **extra)
    found = confirm(study, runner, seeds=2)
    assert found is not None
    assert (found.failed, [c.gain for c in found.comparisons]) == (0, [2.0])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "complete"}', '{"state": "x", "value": 1, "metrics": {}}'])
def test_a_run_whose_outcome_is_damaged_runs_again(study: Study, text: str) -> None:
    confirm(study, TableRunner(), seeds=1)
    (study.folder / "confirm" / "best-1-1000" / "outcome.json").write_text(text)
    again = TableRunner()
    found = confirm(study, again, seeds=1)
    assert found is not None
    assert (again.runs, found.failed) == (1, 0)


def test_nothing_to_compare_without_another_trial(tmp_path: Path) -> None:
    space = Space({"x": Float(0.0, 10.0, default=1.0)})
    study = Study.create(tmp_path / "s", name="s", space=space, metric="value", direction=Direction.MINIMIZE)
    assert confirm(study, TableRunner(), seeds=3) is None
    study.begin(0, Candidate({"x": 1.0}, "default"))
    study.finish(0, Outcome(State.COMPLETE, 1.0, {"value": 1.0}))
    assert confirm(study, TableRunner(), seeds=3) is None


def test_a_tie_is_called_a_tie() -> None:
    assert compare("m", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], Direction.MAXIMIZE).verdict == "tie"
    assert compare("m", [1.0], [2.0], Direction.MAXIMIZE).verdict == "tie"  # one pair bounds nothing
    assert compare("m", [1.0, 1.1], [2.0, 2.1], Direction.MAXIMIZE).verdict == "worse"
    assert compare("m", [1.0, 1.1], [2.0, 2.1], Direction.MINIMIZE).verdict == "better"


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=10))
def test_the_interval_holds_the_mean(gains: list[float]) -> None:
    low, high = paired_interval(gains)
    assert low <= sum(gains) / len(gains) + 1e-9
    assert high >= sum(gains) / len(gains) - 1e-9


def test_one_pair_has_no_bound() -> None:
    assert paired_interval([1.0]) == (-math.inf, math.inf)
