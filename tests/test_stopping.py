"""Early stopping: hopeless curves only, never trial 0, whatever the metric's direction, scale and steps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from doubles import complete
from hypothesis import example, given
from hypothesis import strategies as st

from luthier.trials.extrapolation import MIN_REPORTS, Curve, Extrapolator, regression
from luthier.trials.records import Direction, State, Trajectory, Trial
from luthier.trials.sampling import observed
from luthier.trials.stopping import DEAD, LOOKS, MAX_CURVES, MIN_TOLD, Stopper

GOOD = [1.0 / (step + 1) for step in range(12)]
anything = st.floats(allow_nan=True, allow_infinity=True)
curves = st.lists(anything, min_size=1, max_size=20)


def earlier(count: int, sign: float = 1.0, scale: float = 1.0, curve: list[float] = GOOD) -> list[Trial]:
    def told(value: float) -> float:
        return sign * scale * value

    return [complete(i, {}, told(curve[-1] + i / 100), [told(v + i / 100) for v in curve]) for i in range(count)]


def stopped_at(curve: list[float], done: list[Trial], sign: float = 1.0, scale: float = 1.0) -> int | None:
    stopper = Stopper(Direction.MINIMIZE if sign > 0 else Direction.MAXIMIZE, "loss", done)
    return next((step for step, value in enumerate(curve) if stopper.should_stop(step, sign * scale * value)), None)


class Opinion:
    """A second opinion that is always the same."""

    def __init__(self, chance: float | None) -> None:
        self._chance, self.expected = chance, -7.0
        self.asked: list[tuple[list[float], list[float]]] = []

    def chance(self, steps: Sequence[float], values: Sequence[float]) -> float | None:
        self.asked.append((list(steps), list(values)))
        return self._chance


class TestStopper:
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    @pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
    @pytest.mark.parametrize("count", [1, 3, 50])
    def test_a_hopeless_curve_is_stopped_early_and_a_better_one_never(
        self, sign: float, scale: float, count: int
    ) -> None:
        done = earlier(count, sign, scale)
        stopped = stopped_at([5.0] * 12, done, sign, scale)
        assert stopped is not None
        assert MIN_REPORTS - 1 <= stopped <= 4
        assert stopped_at([0.9 * v for v in GOOD], done, sign, scale) is None

    def test_one_finished_training_is_enough_and_none_is_not(self) -> None:
        assert stopped_at([5.0] * 12, earlier(1)) is not None
        assert stopped_at([5.0] * 12, []) is None

    def test_the_best_so_far_counts_however_long_ago_it_was(self) -> None:
        worse = [4.0 + v for v in GOOD]
        later = [replace(trial, number=trial.number + 1) for trial in earlier(MAX_CURVES, curve=worse)]
        assert stopped_at(worse, later) is None
        assert stopped_at(worse, [*earlier(1), *later]) is not None

    def test_trials_that_were_stopped_or_failed_teach_nothing(self) -> None:
        partial = Trajectory((0, 1, 2), {"loss": (9.0, 9.0, 9.0)})
        bad = [Trial(i, {}, s, value=9.0, trajectory=partial) for i, s in enumerate((State.PRUNED, State.FAILED))]
        assert stopped_at([50.0] * 12, bad) is None
        assert stopped_at(GOOD, [*earlier(3), *bad]) == stopped_at(GOOD, earlier(3))

    def test_a_study_whose_curves_fall_late_waits_for_them(self) -> None:
        late = [1.0] * 8 + [0.1] * 4
        done = [complete(0, {}, 0.5, [1.0 - 0.5 * i / 11 for i in range(12)])]
        assert stopped_at([1.0] * 12, done) is not None
        after = stopped_at([1.0] * 12, [*done, *earlier(6, curve=late)])
        assert after is None or after >= 7

    def test_noise_stops_what_would_beat_the_best_by_less(self) -> None:
        done = earlier(4)
        same = [0.99 * v for v in GOOD]
        plain, noisy = (Stopper(Direction.MINIMIZE, "loss", done, noise=n) for n in (0.0, 10.0))
        assert not any(plain.should_stop(step, value) for step, value in enumerate(same))
        assert any(noisy.should_stop(step, value) for step, value in enumerate(same))

    def test_a_long_curve_is_not_judged_at_each_report(self) -> None:
        length = 20_000
        done = [complete(i, {}, 1.0 + i, [2.0 + i - step / length for step in range(length)]) for i in range(2)]
        stopper, judged = Stopper(Direction.MINIMIZE, "loss", done, hopeless=0.0), []
        for step in range(length):
            before = stopper.forecast
            stopper.should_stop(step, 3.0 - step / length)
            judged.append(stopper.forecast is not before)
        assert all(judged[MIN_REPORTS - 1 : LOOKS])
        assert LOOKS < sum(judged) < length / 10
        assert any(judged[-100:])

    def test_zero_as_the_chance_stops_nothing(self) -> None:
        stopper = Stopper(Direction.MINIMIZE, "loss", earlier(8), hopeless=0.0)
        assert not any(stopper.should_stop(step, 5.0) for step in range(12))

    @pytest.mark.parametrize(("chance", "stopped"), [(0.04, True), (0.06, False), (None, False)])
    def test_a_second_opinion_may_stop_what_the_curve_alone_does_not(self, chance: float | None, stopped: bool) -> None:
        outlook = Opinion(chance)
        stopper = Stopper(Direction.MAXIMIZE, "loss", earlier(8, sign=-1.0), hopeless=0.05, outlook=outlook)
        told = [stopper.should_stop(step, -0.9 * value) for step, value in enumerate(GOOD)]
        assert told == [False] * (MIN_TOLD - 1) + [stopped] * (len(GOOD) - MIN_TOLD + 1)
        assert (stopper.expected == -7.0) is stopped
        assert outlook.asked[0] == ([0.0, 1.0], pytest.approx([-0.9 * value for value in GOOD[:2]]))

    def test_a_second_opinion_is_not_asked_where_nothing_has_finished(self) -> None:
        outlook = Opinion(0.0)
        stopper = Stopper(Direction.MINIMIZE, "loss", [], outlook=outlook)
        assert not any(stopper.should_stop(step, 5.0) for step in range(12))
        assert not outlook.asked

    def test_irregular_steps_and_reports_of_other_metrics(self) -> None:
        steps = (10, 20, 50, 80, 100)
        nan = math.nan
        values = {"loss": (1.0, nan, 0.6, 0.5, 0.4), "accuracy": (nan, 0.1, nan, nan, 0.9)}
        done = [Trial(i, {}, State.COMPLETE, value=0.4, trajectory=Trajectory(steps, values)) for i in range(3)]
        stopper = Stopper(Direction.MINIMIZE, "loss", done)
        assert [stopper.should_stop(s, 9.0) for s in (7, 31, 33, 60)] == [False, False, True, True]
        assert Stopper(Direction.MINIMIZE, "other", done).should_stop(50, 9.0) is False

    def test_beyond_the_usual_last_step_nothing_is_said(self) -> None:
        stopper = Stopper(Direction.MINIMIZE, "loss", earlier(5))
        assert not any(stopper.should_stop(step, 5.0) for step in range(11, 40))

    def test_a_curve_of_nans_is_dead_and_a_single_one_is_not(self) -> None:
        stopper = Stopper(Direction.MINIMIZE, "loss", earlier(8))
        assert not stopper.should_stop(5, math.nan)
        assert not stopper.should_stop(6, 0.01)
        assert [stopper.should_stop(step, math.nan) for step in (7, 7, 8, 9)] == [False, False, False, True]
        assert DEAD == 3
        assert not any(stopper.should_stop(step, math.inf) for step in (10, 11, 12, 13))

    def test_repeated_steps_do_no_harm_and_every_answer_is_a_plain_bool(self) -> None:
        stopper = Stopper(Direction.MINIMIZE, "loss", earlier(8))
        answers = [stopper.should_stop(step, 9.0) for step in (1, 2, 2, 2, 1)]
        assert not any(answers)
        answers += [stopper.should_stop(3, 9.0), stopper.should_stop(4, math.nan)]
        assert json.loads(json.dumps(answers)) == answers  # a plain bool travels to an objective's process

    def test_the_expected_value_is_in_the_metrics_own_sign(self) -> None:
        stopper = Stopper(Direction.MAXIMIZE, "loss", earlier(8, sign=-1.0))
        assert stopper.expected is None
        for step in range(8):
            stopper.should_stop(step, -GOOD[step])
        assert stopper.expected == pytest.approx(-GOOD[-1], abs=0.05)

    @example([[0.0, 8.98846567431158e307]] * 2, [0.0], Direction.MINIMIZE)
    @given(st.lists(curves, max_size=5), curves, st.sampled_from(list(Direction)))
    def test_anything_may_be_reported(self, done: list[list[float]], curve: list[float], direction: Direction) -> None:
        trials = [complete(i, {}, values[-1], values) for i, values in enumerate(done)]
        stopper = Stopper(direction, "loss", trials)
        assert {type(stopper.should_stop(step, value)) for step, value in enumerate(curve)} == {bool}

    @given(st.lists(st.floats(0.01, 1.0), min_size=4, max_size=12), st.floats(0.1, 10), st.floats(-5, 5))
    def test_neither_scale_nor_shift_nor_the_unit_of_the_steps_matters(
        self, curve: list[float], scale: float, shift: float
    ) -> None:
        plain = Stopper(Direction.MINIMIZE, "loss", earlier(4))
        moved_trials = [
            Trial(
                t.number,
                {},
                State.COMPLETE,
                value=scale * (t.value or 0.0) + shift,
                trajectory=Trajectory(
                    tuple(100 * (s + 1) for s in t.trajectory.steps),
                    {"loss": tuple(scale * v + shift for v in t.trajectory.metrics["loss"])},
                ),
            )
            for t in earlier(4)
        ]
        moved = Stopper(Direction.MINIMIZE, "loss", moved_trials)
        for step, value in enumerate(curve):
            plain.should_stop(step, value)
            moved.should_stop(100 * (step + 1), scale * value + shift)
            if plain.expected is not None and moved.expected is not None:
                assert moved.expected == pytest.approx(scale * plain.expected + shift, rel=1e-6, abs=1e-6)


def test_advisors_learn_what_a_stopped_curve_was_expected_to_reach() -> None:
    stopped = Trial(3, {}, State.PRUNED, value=9.0)
    known = [replace(stopped, extra={"expected": 0.7}), stopped, replace(stopped, value=0.01)]
    values = [value for _, value in observed([*earlier(3), *known], Direction.MINIMIZE)]
    worst = earlier(3)[-1].value
    assert values[3:] == [0.7, 9.0, worst]


def test_what_crashed_counts_as_no_better_than_what_was_stopped() -> None:
    """Where all that ended is good, a place that crashes would else look as good, and be proposed again and again."""
    crashed, hopeless = Trial(3, {}, State.FAILED), Trial(4, {}, State.PRUNED, value=9.0, extra={"expected": 5.0})
    assert [value for _, value in observed([*earlier(3), crashed, hopeless], Direction.MINIMIZE)][3:] == [5.0, 5.0]


class TestExtrapolation:
    def test_without_curves_there_is_no_forecast(self) -> None:
        with pytest.raises(ValueError, match="at least one finished curve"):
            Extrapolator([])

    def test_a_power_law_goes_on_as_one(self) -> None:
        steps = np.arange(1, 101)
        costs = 0.2 + steps**-0.5
        found = Extrapolator([Curve(steps, costs)]).forecast(steps[:30], costs[:30])
        assert found is not None
        assert found.value == pytest.approx(costs[-1], abs=0.05)
        assert 0.2 < found.chance_below(costs[-1]) < 0.8

    @given(st.integers(3, 40), st.floats(-2, 2))
    def test_more_curves_make_it_surer(self, many: int, at: float) -> None:
        x = np.linspace(-1, 1, many)
        few = regression(x[:2], x[:2], at)
        more = regression(x, x, at)
        assert more[2] > few[2]
        assert more[0] == pytest.approx(at)
        assert more[1] < few[1]

    def test_without_any_curve_the_power_law_speaks_alone(self) -> None:
        mean, deviation, freedom = regression(np.zeros(0), np.zeros(0), 0.4)
        assert mean == pytest.approx(0.4)
        assert deviation > 0.2
        assert freedom == 2.0
