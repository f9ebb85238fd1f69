"""Early stopping: hopeless curves only, never the first ones, in both directions."""

from __future__ import annotations

import math

import pytest
from doubles import complete

from luthier.trials.records import Direction
from luthier.trials.stopping import MIN_CURVES, Stopper

GOOD = [1.0 / (step + 1) for step in range(12)]


def stopped_at(curve: list[float], earlier: int, sign: float = 1.0) -> int | None:
    direction = Direction.MINIMIZE if sign > 0 else Direction.MAXIMIZE
    done = [complete(i, {}, sign * GOOD[-1], [sign * (v + i / 100) for v in GOOD]) for i in range(earlier)]
    stopper = Stopper(direction, "loss", done)
    return next((step for step, value in enumerate(curve) if stopper.should_stop(step, sign * value)), None)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_hopeless_curve_is_stopped_after_the_warm_up(sign: float) -> None:
    assert stopped_at([5.0] * 12, 8, sign) == 4
    assert stopped_at(GOOD, 8, sign) is None


def test_nothing_is_stopped_before_there_is_something_to_compare_with() -> None:
    assert stopped_at([5.0] * 12, MIN_CURVES - 1) is None


def test_a_middling_curve_goes_on() -> None:
    assert stopped_at([v + 0.045 for v in GOOD], 8) is None


def test_values_that_are_no_numbers_and_repeated_steps_do_no_harm() -> None:
    stopper = Stopper(Direction.MINIMIZE, "loss", [complete(i, {}, 0.1, GOOD) for i in range(8)])
    assert not stopper.should_stop(5, math.nan)
    assert stopper.should_stop(6, 9.0) is True  # a plain bool, which travels as JSON to an objective's process
    assert stopper.should_stop(6, 9.0) is False


def test_every_answer_is_a_plain_bool() -> None:
    stopper = Stopper(Direction.MINIMIZE, "loss", [complete(i, {}, 0.1, GOOD) for i in range(8)])
    assert {type(stopper.should_stop(step, value)) for step, value in enumerate(GOOD)} == {bool}
