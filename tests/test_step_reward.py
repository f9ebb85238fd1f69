"""The critic's scorer: numbers of a step that exist in any study, small trees over them, the step alone and merged."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.predictor.errors import CheckpointFault
from luthier.predictor.step_features import FEATURES, Stand
from luthier.predictor.step_places import Places
from luthier.predictor.step_reward import FILE, StepJudge, StepReward
from luthier.predictor.step_surrogate import Kernels, around
from luthier.trials.records import Cause, Config, Direction, Failure, State, Trajectory, Trial
from luthier.trials.space import Choice, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 1.0, log=True, default=1e-3),
        "units": Int(16, 512, log=True, default=64),
        "optimizer": Choice(("sgd", "adam"), default="adam"),
        "momentum": Float(0.0, 0.99, default=0.9, when='optimizer == "sgd"'),
    }
)
BASE = SPACE.default()
SHIPPED = StepReward.shipped()

units = st.floats(0, 1)
values = st.one_of(st.floats(-5, 5), st.just(math.nan), st.just(math.inf), st.none(), st.just(0.0))


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    return SPACE.active({name: p.from_unit(draw(units)) for name, p in SPACE.parameters.items()})


@st.composite
def studies(draw: st.DrawFn) -> list[Trial]:
    trials = []
    for number in range(draw(st.integers(0, 12))):
        value = draw(values)
        state = State.FAILED if value is None else draw(st.sampled_from([State.COMPLETE, State.PRUNED, State.RUNNING]))
        failure = Failure(draw(st.sampled_from(list(Cause)))) if state is State.FAILED else None
        curve = Trajectory(tuple(range(6)), {"loss": tuple(draw(st.lists(st.floats(-3, 3), min_size=6, max_size=6)))})
        seen = draw(st.sampled_from([curve, Trajectory()]))
        trials.append(Trial(number, draw(configs()), state, value, trajectory=seen, failure=failure))
    return trials


def done(number: int, value: float | None, **change: Any) -> Trial:
    config = SPACE.active({**BASE, **change})
    if value is None:
        return Trial(number, config, State.FAILED, failure=Failure(Cause.OUT_OF_MEMORY))
    return Trial(number, config, State.COMPLETE, value)


def features(trials: list[Trial], config: Config, direction: Direction = Direction.MINIMIZE) -> dict[str, float]:
    row = Stand(SPACE, trials, direction, "loss").features(config)
    return dict(zip(FEATURES, row.tolist(), strict=True))


@settings(max_examples=60)
@given(studies(), configs(), st.sampled_from(list(Direction)))
def test_any_study_gives_finite_numbers_and_a_probability(
    trials: list[Trial], config: Config, direction: Direction
) -> None:
    row = Stand(SPACE, trials, direction, "loss").features(config)
    assert row.shape == (len(FEATURES),)
    assert np.isfinite(row).all()
    judge = StepJudge.of(SPACE, trials, direction, "loss")
    assert 0 < judge(config) < 1
    merged = judge.merged(config)
    assert merged is None or 0 < merged < 1


@settings(max_examples=30)
@given(studies(), configs(), st.floats(0.1, 100), st.floats(-50, 50))
def test_neither_unit_nor_offset_nor_sign_of_the_metric_matters(
    trials: list[Trial], config: Config, scale: float, shift: float
) -> None:
    plain = [t for t in trials if t.value is None or math.isfinite(t.value)]
    plain = [Trial(t.number, t.config, t.state, t.value, failure=t.failure) for t in plain]

    def told(factor: float, offset: float) -> list[Trial]:
        return [
            Trial(
                t.number, t.config, t.state, None if t.value is None else factor * t.value + offset, failure=t.failure
            )
            for t in plain
        ]

    # Values that differ by less than rounding may become equal under an offset; whole ones do not.
    plain = [Trial(t.number, t.config, t.state, t.value and float(round(t.value)), failure=t.failure) for t in plain]
    row = Stand(SPACE, told(1, 0), Direction.MINIMIZE, "loss").features(config)
    moved = Stand(SPACE, told(scale, shift), Direction.MINIMIZE, "loss").features(config)
    mirrored = Stand(SPACE, told(-1, 0), Direction.MAXIMIZE, "loss").features(config)
    assert moved == pytest.approx(row, abs=1e-4)
    assert mirrored == pytest.approx(row, abs=1e-9)


@settings(max_examples=30)
@given(studies(), configs(), configs(), values)
def test_what_comes_later_changes_nothing(trials: list[Trial], config: Config, later: Config, value: Any) -> None:
    """The judge of the first trials says the same, whatever is appended after them and still runs."""
    running = Trial(len(trials), later, State.RUNNING, None)
    judged = StepJudge.of(SPACE, trials, Direction.MINIMIZE, "loss")(config)
    assert StepJudge.of(SPACE, [*trials, running], Direction.MINIMIZE, "loss")(config) == judged
    assert StepJudge.of(SPACE, trials[::-1], Direction.MINIMIZE, "loss")(config) == judged


@settings(max_examples=30)
@given(studies(), configs())
def test_the_merged_score_is_that_of_a_study_without_its_latest_trial(trials: list[Trial], config: Config) -> None:
    finished = [t for t in trials if t.finished]
    merged = StepJudge.of(SPACE, finished, Direction.MINIMIZE, "loss").merged(config)
    alone = StepJudge.of(SPACE, finished[:-1], Direction.MINIMIZE, "loss")(config)
    assert merged is None or merged == pytest.approx(alone)


@pytest.mark.parametrize(
    ("trials", "config", "expected"),
    [
        ([], BASE, {"trials": 0.0, "far": 0.0, "mends": 0.0}),
        ([done(0, 1.0)], {**BASE, "lr": 1e-2}, {"more_steps": 0.2, "widest": 0.2, "latest_better": 0.0}),
        ([done(0, 1.0), done(1, None, lr=0.1)], {**BASE, "lr": 1e-2}, {"latest_failed": 1.0, "mends": 1.0}),
        ([done(0, 1.0), done(1, 2.0, lr=0.1)], {**BASE, "lr": 1e-2}, {"latest_worse": 1.0, "mends": 1.0}),
        ([done(0, 1.0), done(1, 2.0, lr=0.1)], {**BASE, "lr": 1e-4}, {"latest_worse": 1.0, "mends": 0.0}),
        ([done(0, 1.0), done(1, 0.5, lr=0.1)], {**BASE, "lr": 1e-2}, {"latest_better": 1.0, "mends": 0.0}),
        ([done(0, 1.0), done(1, None, units=512)], {**BASE, "units": 32}, {"suits_latest": 1.0}),
        ([done(0, 1.0)], {**BASE, "optimizer": "sgd", "momentum": 0.9}, {"choices": 1.0, "widest": 1.0}),
    ],
)
def test_features_say_what_a_step_does(trials: list[Trial], config: Config, expected: dict[str, float]) -> None:
    found = features(trials, config)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_moves_that_helped_speak_for_going_on_and_moves_that_hurt_against() -> None:
    helped = [done(0, 1.0), done(1, 0.8, lr=3e-3), done(2, 0.6, lr=1e-2)]
    hurt = [done(0, 1.0), done(1, 1.2, lr=3e-3), done(2, 1.4, lr=1e-2)]
    on = {**BASE, "lr": 3e-2}
    for name in ("same_way", "effects", "mean", "better"):
        assert features(helped, on)[name] > features(hurt, on)[name]
    assert features([done(0, 1.0), done(1, None, lr=0.1)], {**BASE, "lr": 0.09})["near_failed"] > 0.5


def test_the_process_knows_what_it_was_told() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((20, 2))
    scores = -((points - 0.5) ** 2).sum(1)
    scores = (scores - scores.mean()) / scores.std()
    process = Kernels(points, scores)
    best, worst = points[scores.argmax()], points[scores.argmin()]
    assert process.ask(best)["mean"] == pytest.approx(0, abs=0.3)
    assert process.ask(worst)["mean"] < process.ask(best)["mean"] - 1
    assert process.ask(worst)["better"] < process.ask(np.array([0.5, 0.5]))["better"]
    far = process.ask(np.array([3.0, 3.0]))
    assert far["deviation"] > process.ask(best)["deviation"]


@given(st.lists(st.tuples(units, units, st.booleans()), max_size=8), units, units)
def test_neighbours_stay_between_what_was_seen_and_what_is_expected(rows: list[Any], x: float, y: float) -> None:
    points, facts = np.array([r[:2] for r in rows]).reshape(-1, 2), np.array([float(r[2]) for r in rows])
    assert -1e-9 <= around(np.array([x, y]), points, facts, 0.5) <= 1 + 1e-9


@given(configs(), configs())
def test_a_change_and_its_opposite_cancel_out_in_numbers(a: Config, b: Config) -> None:
    places = Places(SPACE)
    there, back = places.delta(places(b), places(a)), places.delta(places(a), places(b))
    numbers = ~places.choice & places(a).active & places(b).active
    assert there[numbers] == pytest.approx(-back[numbers])
    assert there[~numbers] == pytest.approx(back[~numbers])
    assert (np.abs(there) <= 1 + 1e-9).all()
    assert (places.delta(places(a), places(a)) == 0).all()


def test_the_file_that_ships_is_small_and_for_these_features() -> None:
    assert FILE.stat().st_size < 60_000
    stored = json.loads(FILE.read_text())
    with pytest.raises(CheckpointFault, match="features of this version"):
        StepReward.of({**stored, "features": [*FEATURES, "another"]})


@given(st.lists(st.floats(-10, 10), min_size=len(FEATURES), max_size=len(FEATURES)))
def test_trees_add_up(row: list[float]) -> None:
    trees = [["trials", 0.0, -1.0, ["far", 0.5, 0.25, 2.0]], 0.5]
    scorer = StepReward.of({"features": list(FEATURES), "start": -1.0, "trees": trees})
    at = dict(zip(FEATURES, row, strict=True))
    expected = -0.5 + (-1.0 if at["trials"] <= 0 else 0.25 if at["far"] <= 0.5 else 2.0)
    assert scorer.probability(np.array(row)) == pytest.approx(1 / (1 + math.exp(-expected)))
