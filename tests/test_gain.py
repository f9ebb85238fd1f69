"""Gain and credit follow from the raw facts of a trial, whatever state those facts are in."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.predictor.gain import CAP, UNKNOWN_SCALE, credit_of, gain, gain_of
from luthier.trials.records import Direction, State, Trial

NUMBERS = st.floats(-1e6, 1e6).map(lambda number: round(number, 9))  # next to 0, scaling would lose digits
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.floats(), st.integers(), st.just(10**400), st.lists(st.integers())
)
DIRECTIONS = st.sampled_from(Direction)


def trial(value: float | None = 1.0, state: State = State.COMPLETE, source: str = "gp", **extra: Any) -> Trial:
    return Trial(3, {}, state, value, source=source, extra=extra)


@pytest.mark.parametrize(
    ("value", "best", "noise", "scale", "expected"),
    [
        (0.5, 1.0, 0.1, 0.8, 0.5),  # better by 0.5, of which 0.1 may be noise
        (0.95, 1.0, 0.1, 0.8, 0.0),  # within the noise
        (1.5, 1.0, 0.1, 0.8, 0.0),  # worse
        (1.0, 1.0, None, 0.8, 0.0),  # equal
        (None, 1.0, 0.1, 0.8, 0.0),  # failed
        (math.nan, 1.0, 0.1, 0.8, 0.0),
        (0.5, None, 0.1, 0.8, None),  # nothing to beat
        (0.5, math.nan, 0.1, 0.8, None),
        (0.5, 1.0, None, None, UNKNOWN_SCALE),
        (0.5, 1.0, None, 0.0, UNKNOWN_SCALE),
        (0.5, 1.0, math.nan, math.inf, UNKNOWN_SCALE),
        (-1e300, 1e300, 0.0, 1e-300, CAP),
    ],
)
def test_gain(value: float | None, best: float | None, noise: object, scale: object, expected: float | None) -> None:
    found = gain(value, best, noise=noise, scale=scale, direction=Direction.MINIMIZE)
    assert found == (None if expected is None else pytest.approx(expected))


@given(value=ANYTHING, best=ANYTHING, noise=ANYTHING, scale=ANYTHING, direction=DIRECTIONS)
def test_any_fact_gives_a_gain_within_bounds_or_none(
    value: object, best: object, noise: object, scale: object, direction: Direction
) -> None:
    found = gain(value, best, noise=noise, scale=scale, direction=direction)
    assert found is None or 0 <= found <= CAP


@given(value=NUMBERS, best=NUMBERS, noise=st.floats(0, 10), scale=st.floats(0.1, 10))
def test_direction_is_a_matter_of_sign(value: float, best: float, noise: float, scale: float) -> None:
    down = gain(value, best, noise=noise, scale=scale, direction=Direction.MINIMIZE)
    assert down == gain(-value, -best, noise=noise, scale=scale, direction=Direction.MAXIMIZE)


@given(value=NUMBERS, best=NUMBERS, noise=st.floats(0, 10), scale=st.floats(0.1, 10), factor=st.sampled_from([0.25, 8]))
def test_the_unit_of_the_metric_does_not_count(
    value: float, best: float, noise: float, scale: float, factor: float
) -> None:
    one = gain(value, best, noise=noise, scale=scale, direction=Direction.MINIMIZE)
    other = gain(
        factor * value, factor * best, noise=factor * noise, scale=factor * scale, direction=Direction.MINIMIZE
    )
    assert one == other


@pytest.mark.parametrize("state", [State.FAILED, State.PRUNED, State.RUNNING])
def test_only_a_complete_trial_gains(state: State) -> None:
    assert gain_of(trial(0.0, state, best_before=1.0, scale=1.0), Direction.MINIMIZE) == 0.0


def test_choosing_is_credited_apart_from_making() -> None:
    chosen = credit_of(trial(workflow="planner", model="m", decisions=1, ran=["plan", "run"]))
    assert (chosen.maker, chosen.workflow, chosen.model, chosen.chose) == ("gp", "planner", "m", True)
    proposed = credit_of(trial(source="planner", workflow="planner", model="m", decisions=1, ran=["plan", "run"]))
    assert proposed.maker == "m"
    refused = credit_of(trial(workflow="planner", model="m", decisions=2, ran=["plan", "criticise", "take", "run"]))
    assert refused.decided
    assert not refused.chose


def test_a_workflow_that_asks_no_model_has_none() -> None:
    assert credit_of(trial(workflow="advisors", model="m")).model == "none"


def test_the_turn_counts_before_what_older_studies_say() -> None:
    found = credit_of(trial(workflow="planner", model="m", turn={"workflow": "debate", "model": "n"}))
    assert (found.workflow, found.model) == ("debate", "n")


@given(facts=st.dictionaries(st.sampled_from(["turn", "workflow", "model", "decisions", "ran"]), ANYTHING))
def test_credit_reads_any_facts(facts: dict[str, Any]) -> None:
    assert credit_of(trial(**facts)).maker == "gp"
