"""The worlds in which gate 1 is measured, and that it does in them what it is there for."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from luthier.predictor.turns import turns_of
from luthier.trials.records import Candidate, Direction

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import suites  # noqa: E402
import turns  # noqa: E402
import turns_surrogates  # noqa: E402
from turns_worlds import CANDIDATES, WORLDS, Landscape  # noqa: E402

SEEDS = range(12)


@pytest.fixture(scope="module")
def runs() -> dict[str, list[turns.Run]]:
    return {
        name: [turns.play(WORLDS[name], turns.ours(turns.ARMS), seed, 1, 50) for seed in SEEDS]
        for name in ("random", "knows")
    }


def test_a_model_that_chooses_at_random_loses_its_turns(runs: dict[str, list[turns.Run]]) -> None:
    assert np.mean([run.share(21, 50) for run in runs["random"]]) < 0.15
    assert np.mean([run.share(1, 10) for run in runs["random"]]) > 0.25


def test_a_model_that_knows_better_keeps_them(runs: dict[str, list[turns.Run]]) -> None:
    assert np.mean([run.share(1, 10) for run in runs["knows"]]) > 0.5
    gap = [k.share(11, 50) - r.share(11, 50) for k, r in zip(runs["knows"], runs["random"], strict=True)]
    assert np.mean(gap) > 0.1


@pytest.mark.parametrize("name", WORLDS)
def test_gates_meet_the_same_luck(name: str) -> None:
    one, other = Landscape(3), Landscape(3)
    assert [one.trial(i, WORLDS[name].chooses) for i in range(1, 9)] == [
        other.trial(i, WORLDS[name].chooses) for i in range(1, 9)
    ]
    assert 0 <= one.regret <= 1


def test_the_best_choice_is_never_worse() -> None:
    rng = np.random.default_rng(0)
    closed = rng.random(CANDIDATES)
    assert WORLDS["knows"].chooses(closed, 1, rng) == closed.argmax()
    assert WORLDS["harmful"].chooses(closed, 1, rng) == closed.argmin()


def test_a_run_writes_losses_like_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "turns.json"
    argv = ["--worlds", "harmful", "--settings", "first", "--runs", "3", "--json", str(place)]
    assert turns.main(argv) == 0
    rows = json.loads(place.read_text())
    assert {row["method"] for row in rows} == {"gate 1", "always", "never", "random gate"}
    assert {"suite", "method", "metric", "value", "low", "high"} == set(rows[0])
    assert "regret - never" in capsys.readouterr().out


def test_an_unknown_world_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert turns.main(["--worlds", "mars"]) == 2
    assert "must be one of random" in capsys.readouterr().err


def test_surrogates_need_their_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert turns_surrogates.main(["--data", str(tmp_path)]) == 2
    assert "give the folder" in capsys.readouterr().err


def test_a_trial_on_a_surrogate_becomes_a_turn() -> None:
    arm, drawn = turns_surrogates.turn("gate 1", [], Direction.MAXIMIZE, 1, 0)
    trial = suites.as_trial(1, Candidate({}, "tpe"), 1.0)
    facts = {**turns_surrogates.facts([trial], Direction.MAXIMIZE), "turn": drawn, "decisions": 1}
    (found,) = turns_of([replace(trial, extra=facts)], Direction.MAXIMIZE)
    assert (found.workflow, found.model, found.probability) == (arm.workflow, arm.model, drawn["probability"])
    assert found.compares
