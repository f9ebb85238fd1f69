"""Gate 2: what is skipped and why, and that odd data makes it say nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.predictor.failure import Recalled
from luthier.predictor.no_win import MOST, NoWin, _spread
from luthier.predictor.trial_gate import NOTHING, Judgement, TrialGate
from luthier.trials.records import Cause, Config, Direction, Failure, State, Trial
from luthier.trials.space import Float, Int, Space

SPACE = Space({"x": Float(0.0, 1.0, default=0.5), "units": Int(16, 1024, log=True, default=64)})
LOW = Direction.MINIMIZE


def trial(number: int, config: Config, seconds: float = 100.0) -> Trial:
    """The loss is least at x = 0.3; from 300 units on there is no memory, after 10 seconds."""
    if config["units"] > 300:
        return Trial(number, config, State.FAILED, failure=Failure(Cause.OUT_OF_MEMORY), seconds=10.0)
    return Trial(number, config, State.COMPLETE, value=(config["x"] - 0.3) ** 2, seconds=seconds)


def drawn(count: int, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    return [trial(i, SPACE.sample(rng)) for i in range(count)]


def test_what_fails_and_what_cannot_win_is_skipped_with_the_reason() -> None:
    gate = TrialGate(SPACE, LOW, loses=0.99).fit(drawn(60), noise=0.001)
    failing, losing, good = (gate.judge({"x": x, "units": u}) for x, u in ((0.3, 1000), (0.95, 64), (gate_best(), 40)))
    assert failing.skip
    assert "fails with probability" in failing.reason
    assert losing.skip
    assert "does not beat" in losing.reason
    assert not good.skip
    assert good.reason == ""
    assert failing.failure is not None
    assert good.failure is not None
    assert failing.failure > 0.8 > 0.2 > good.failure


def gate_best() -> float:
    """Between the two best places tried, where something is left to win."""
    best = sorted((t for t in drawn(60) if t.value is not None), key=lambda t: t.value or 0.0)[:2]
    return float(np.mean([t.config["x"] for t in best]))


def test_seconds_are_those_of_failures_for_the_share_that_fails() -> None:
    gate = TrialGate(SPACE, LOW).fit(drawn(30))
    failing, good = gate.judge({"x": 0.3, "units": 1000}), gate.judge({"x": 0.3, "units": 64})
    assert failing.seconds is not None
    assert good.seconds is not None
    assert 10 <= failing.seconds < 30 < 80 < good.seconds <= 100


def test_seconds_without_failures_are_the_mean_and_without_times_unknown() -> None:
    safe = [t for t in drawn(40) if t.state is State.COMPLETE]
    assert TrialGate(SPACE, LOW).fit(safe).judge(SPACE.default()).seconds == pytest.approx(100)
    timeless = [replace(t, seconds=0.0) for t in safe]
    assert TrialGate(SPACE, LOW).fit(timeless).judge(SPACE.default()).seconds is None


@pytest.mark.parametrize(
    "trials",
    [
        [],
        drawn(1),
        [replace(t, value=math.nan) for t in drawn(9)],
        [replace(t, value=1.0) for t in drawn(40) if t.state is State.COMPLETE],
        [Trial(i, SPACE.default(), State.FAILED, failure=Failure(Cause.CRASH)) for i in range(20)],
        [Trial(i, SPACE.default(), State.RUNNING) for i in range(20)],
    ],
    ids=["none", "one", "all NaN", "all equal", "all failed", "all running"],
)
def test_odd_data_skips_nothing(trials: list[Trial]) -> None:
    gate = TrialGate(SPACE, LOW).fit(trials, noise=math.nan)
    assert not gate.judge(SPACE.default()).skip


@pytest.mark.parametrize(
    "config", [{}, {"x": math.nan, "units": 64}, {"x": "a", "units": None}, {"y": 1}], ids=range(4)
)
def test_an_odd_configuration_is_no_fault(config: Config) -> None:
    found = TrialGate(SPACE, LOW).fit(drawn(30)).judge(config)
    assert isinstance(found, Judgement)
    assert found.no_win is None or 0 <= found.no_win <= 1


def test_nothing_is_skipped_in_the_first_trials_even_where_memory_is_sure() -> None:
    recalled = [Recalled(t) for t in drawn(60, seed=5)]
    gate = TrialGate(SPACE, LOW, recalled=recalled)
    judged = gate.fit(drawn(2)).judge({"x": 0.3, "units": 1000})
    assert not judged.skip
    assert judged.failure is not None
    assert judged.failure > 0.7
    assert gate.fit(drawn(20)).judge({"x": 0.3, "units": 1000}).skip


def test_more_noise_makes_a_win_less_likely() -> None:
    places = [{"x": float(x), "units": 64} for x in np.linspace(0, 1, 21)]
    sharp, dull = (NoWin(SPACE, LOW).fit(drawn(40), noise).probability(places) for noise in (0.0, 1.0))
    assert sharp is not None
    assert dull is not None
    assert (dull >= sharp).all()
    assert dull.min() > 0.95


def test_a_maximised_metric_is_judged_alike() -> None:
    trials = [replace(t, value=None if t.value is None else -t.value) for t in drawn(20)]
    places = [{"x": float(x), "units": 64} for x in np.linspace(0, 1, 5)]
    up = NoWin(SPACE, Direction.MAXIMIZE).fit(trials, 0.01).probability(places)
    down = NoWin(SPACE, LOW).fit(drawn(20), 0.01).probability(places)
    assert np.allclose(up, down)


def test_no_win_chances_are_about_as_often_right_as_they_say() -> None:
    """On the draws that it was not fitted to, pooled over studies."""
    said, won = [], []
    for seed in range(8):
        trials = drawn(60, seed)
        known, best = trials[:10], min(t.value for t in trials[:10] if t.value is not None)
        found = NoWin(SPACE, LOW).fit(known, 0.0).probability([t.config for t in trials[10:]])
        assert found is not None
        said += list(1 - found)
        won += [t.value is not None and t.value < best for t in trials[10:]]
    assert np.mean(said) == pytest.approx(np.mean(won), abs=0.1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
@settings(max_examples=50)
def test_of_many_trials_the_best_are_kept_and_each_once(values: list[float]) -> None:
    kept = _spread(np.array(values))
    assert len(set(kept.tolist())) == len(kept) == min(len(values), MOST)
    assert max(values) in np.array(values)[kept]


def test_what_an_advisor_searched_for_is_asked_only_whether_it_fails() -> None:
    gate = TrialGate(SPACE, LOW, loses=0.99).fit(drawn(60), noise=0.001)
    assert not gate.judge({"x": 0.95, "units": 64}, searched=True).skip
    assert gate.judge({"x": 0.95, "units": 64}, searched=True).no_win is None
    assert gate.judge({"x": 0.3, "units": 1000}, searched=True).skip


def test_runs_that_are_as_quick_as_a_judgement_are_not_judged() -> None:
    trials = [trial(i, {"x": 0.3, "units": u}, seconds=0.2) for i, u in enumerate((16, 32, 64, 400, 450, 500))]
    slow = [replace(t, seconds=100.0) for t in trials]
    hopeless = {**SPACE.default(), "units": 500}
    assert TrialGate(SPACE, LOW).fit(slow).judge(hopeless).failure is not None
    assert TrialGate(SPACE, LOW).fit(trials).judge(hopeless) == NOTHING
