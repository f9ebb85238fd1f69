"""The account of turns: weights undo unequal draws, choosing is told from making, and little data says so."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import SPACE
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from luthier.cli import app
from luthier.predictor.records import WorkflowLog, record_of
from luthier.predictor.turns import turns_of
from luthier.predictor.weighting import FEWEST, difference, weighted_mean
from luthier.predictor.workflow import WORKFLOWS
from luthier.trials.errors import StudyError
from luthier.trials.records import Candidate, Direction, Outcome, State
from luthier.trials.study import Study
from luthier.trust import Trust, trust_of
from luthier.trust_page import print_trust

MODEL = "ollama:qwen2.5-coder:32b"
ARMS = {"advisors": 0.4, "planner": 0.3, "planner-critic": 0.2, "chance": 0.1}


def study(folder: Path, *turns: tuple[str, float, float | None], source: str = "gp", **facts: Any) -> Study:
    """A study after a default of value 1 whose scale is 1: workflow, value and probability of each trial."""
    made = Study.create(folder, name=folder.name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    for number, (workflow, value, probability) in enumerate([("advisors", 1.0, None), *turns]):
        asks = WORKFLOWS[workflow].uses_model
        model = MODEL if asks else "none"
        drawn = {"workflow": workflow, "model": model, "probability": probability, "random": False, "reason": ""}
        extra = {
            "best_before": None if number == 0 else 1.0,
            "noise": 0.0,
            "scale": 1.0,
            "index": number,
            "workflow": workflow,
            "model": MODEL if probability is None else model,  # as before there were turns
            "decisions": int(asks),
            "tokens": 100 * asks,
            "model_seconds": 2.0 * asks,
            "ran": ["plan" if asks else "draw" if workflow == "chance" else "take", "run"],
            **({} if probability is None else {"turn": drawn}),
            **facts,
        }
        made.begin(number, Candidate(SPACE.default(), "default" if number == 0 else source), **extra)
        made.finish(number, Outcome(State.COMPLETE, value, seconds=10.0))
    return made


def page(trust: Trust, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_trust(trust, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def bounds(values: np.ndarray, probability: np.ndarray, floor: float = 0.0) -> tuple[float, float]:
    """The interval of a mean that has one."""
    mean = weighted_mean(values, probability, floor)
    assert mean is not None
    assert mean.low is not None
    assert mean.high is not None
    return mean.low, mean.high


@settings(max_examples=30)
@given(st.lists(st.floats(0, 3), min_size=2, max_size=30), st.floats(0.01, 1))
def test_equal_draws_give_the_plain_mean(gains: list[float], probability: float) -> None:
    mean = weighted_mean(np.array(gains), np.full(len(gains), probability))
    assert mean is not None
    assert mean.value == pytest.approx(np.mean(gains))
    assert mean.effective == pytest.approx(len(gains))
    low, high = bounds(np.array(gains), np.full(len(gains), probability))
    assert 0 <= low <= mean.value + 1e-12 <= high + 1e-9


def test_weights_undo_that_an_arm_was_drawn_while_gains_were_large() -> None:
    rng = np.random.default_rng(0)
    early = rng.random(4000) < 0.5
    probability = np.where(early, 0.9, 0.1)
    taken = rng.random(4000) < probability
    gains = np.where(early, 1.0, 0.0)[taken]  # the same for every arm
    low, high = bounds(gains, probability[taken])
    assert np.mean(gains) > 0.8
    assert low < 0.5 < high


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        probability = rng.uniform(0.2, 0.8, 80)
        gains = (rng.random(80) < 0.4) * rng.random(80)
        low, high = bounds(gains, probability)
        held += low <= 0.2 <= high
    assert held > 270


def test_a_few_turns_without_a_win_do_not_show_that_there_is_none() -> None:
    assert bounds(np.zeros(4), np.full(4, 0.5), floor=0.5)[1] > 0.5


def test_differences_say_when_there_are_too_few_turns() -> None:
    rng, half = np.random.default_rng(0), np.full(40, 0.5)
    good, bad = weighted_mean(1 + rng.random(40), half), weighted_mean(rng.random(40), half)
    few = weighted_mean(np.ones(int(FEWEST) - 1), half[: int(FEWEST) - 1])
    assert difference(good, bad).verdict == "better"
    assert difference(bad, good).verdict == "worse"
    assert difference(good, good).verdict == "not to be told apart"
    assert difference(good, few).verdict == difference(good, None).verdict == "too few to say"


def test_rows_pool_a_model_before_its_workflows(tmp_path: Path) -> None:
    turns = [(name, 0.5 if name == "planner" else 2.0, p) for name, p in ARMS.items()] * 2
    trust = trust_of(study(tmp_path / "s", *turns))
    assert (trust.turns, trust.drawn) == (8, 8)
    model, rest = trust.choosers
    assert (model.model, model.pooled.turns, model.pooled.wins, model.decided) == (MODEL, 4, 2, 4)
    assert {row.name: row.gain for row in model.workflows} == {"planner": 0.5, "planner-critic": 0.0}
    assert model.pooled.gain == pytest.approx(0.5 * (1 / 0.3) / (1 / 0.3 + 1 / 0.2))
    assert [row.name for row in rest.workflows] == ["advisors", "chance"]
    assert (model.chance_turns, model.against_chance.verdict) == (2, "too few to say")
    assert model.pooled.tokens == 400


def test_choosing_well_shows_against_a_random_chooser(tmp_path: Path) -> None:
    turns = [(name, 0.5 if name == "planner" else 1.5, 0.5) for name in ("planner", "chance")] * 12
    model = trust_of(study(tmp_path / "s", *turns)).choosers[0]
    assert model.against_chance.verdict == "better"
    assert "better." in page(trust_of(Study.open(tmp_path / "s")), 120)


def test_a_random_chooser_that_had_no_choice_is_none(tmp_path: Path) -> None:
    alone = study(tmp_path / "s", *[("chance", 0.9, 0.5)] * 3, ("planner", 0.9, 0.5), ran=["draw", "take", "run"])
    trust = trust_of(alone)
    assert trust.choosers[0].chance_turns == 0
    assert trust.makers[0].chosen == {"order": 4}
    assert [turn.compares for turn in turns_of(alone.finished, alone.direction)] == [False] * 4 + [True]


def test_makers_are_credited_apart_from_choosers(tmp_path: Path) -> None:
    first = study(tmp_path / "a", ("planner", 0.5, 0.3), ("chance", 0.5, 0.1), ("advisors", 2.0, 0.4))
    (maker,) = trust_of(first).makers
    assert (maker.row.name, maker.row.turns, maker.row.wins) == ("gp", 3, 2)
    assert maker.chosen == {"model": 1, "chance": 1, "order": 1}
    own = study(tmp_path / "b", ("planner", 0.5, 0.3), source="planner")
    assert trust_of(own).makers[0].row.name == MODEL


def test_a_study_from_before_turns_were_drawn(tmp_path: Path) -> None:
    old = trust_of(study(tmp_path / "s", *[("planner-critic", 0.5, None), ("advisors", 2.0, None)] * 2))
    assert (old.turns, old.drawn) == (4, 0)
    assert [c.model for c in old.choosers] == [MODEL, "none"]
    assert "Given by a rule" in page(old)


def test_nothing_to_judge_yet(tmp_path: Path) -> None:
    assert "No turns to judge yet" in page(trust_of(study(tmp_path / "s")))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_page_fits_a_terminal(tmp_path: Path, width: int) -> None:
    shown = page(trust_of(study(tmp_path / "s", *[(name, 0.7, p) for name, p in ARMS.items()] * 3)), width)
    assert max(map(len, shown.splitlines())) <= width
    assert MODEL in shown  # not folded
    assert "…" not in shown


def test_the_studies_beside_it_are_pooled_where_asked(tmp_path: Path) -> None:
    study(tmp_path / "other", ("chance", 2.0, 0.5)).close()
    log, facts = WorkflowLog(tmp_path / "other" / "workflows.jsonl"), {"best_before": 1.0, "scale": 1.0, "index": 1}
    turn = {"workflow": "chance", "model": "none", "probability": 0.5, "random": False, "reason": ""}
    ran = ["summarize", "recall", "advise", "draw", "gate", "run", "record"]
    ours: dict[str, Any] = {"value": 0.5, "state": "complete", "direction": "minimize", "turn": turn, **facts}
    log.append(record_of(WORKFLOWS["chance"], ran, task="tune", task_id="other/1", **ours))
    study(tmp_path / "s", ("planner", 0.5, 0.3)).close()
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "s"), "--trust", "--all", "--json"])
    assert shown.exit_code == 0
    assert '"studies": [\n    "s",\n    "other"\n  ]' in shown.output
    alone = CliRunner().invoke(app, ["show", str(tmp_path / "s"), "--trust"])
    assert "1 of them drawn" in alone.output


@pytest.mark.parametrize("views", [["--trust", "--savings"], ["--trial", "99", "--trust"], ["--graph", "--trial", "0"]])
def test_show_prints_one_thing_at_a_time(tmp_path: Path, views: list[str]) -> None:
    done = CliRunner().invoke(app, ["show", str(tmp_path / "none"), *views])
    assert isinstance(done.exception, StudyError)
    assert all(view in str(done.exception) for view in views if view.startswith("--"))
