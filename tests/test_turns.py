"""Who gets the turn: draws that can be made again, with their probabilities, by gain for the cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.predictor.turns import Arm, Turn, draw_turn, turns_of
from luthier.trials.records import Direction, State, Trial

ADVISORS, PLANNER, CHANCE = Arm("advisors"), Arm("planner", "m", seconds=1.0), Arm("chance")
ARMS = [ADVISORS, PLANNER, CHANCE]


def turn(arm: Arm, gain: float | None = 0.0, index: int = 5, **facts: Any) -> Turn:
    spent = {"seconds": 10.0, "model_seconds": arm.seconds or 0.0, "probability": 0.5, **facts}
    return Turn(arm.workflow, arm.model, gain, index=index, **spent)


def share(arm: Arm, arms: list[Arm], turns: list[Turn], **given: Any) -> float:
    """The probability that the arm gets the next turn."""
    return draw_turn(arms, turns, seed=0, **given).estimates[arms.index(arm)].probability


def wins(arm: Arm, other: Arm, n: int = 20) -> list[Turn]:
    """Turns in which one arm always gains and another never does."""
    return [turn(a, g, index=i) for i in range(1, n + 1) for a, g in ((arm, 1.0), (other, 0.0))]


TURNS = st.lists(
    st.builds(
        turn,
        st.sampled_from(ARMS),
        st.one_of(st.none(), st.floats(0, 3)),
        st.integers(0, 100),
        seconds=st.floats(0, 1e4),
        model_seconds=st.floats(0, 1e3),
        probability=st.floats(0.01, 1),
        study=st.sampled_from(["", "a", "b"]),
    ),
    max_size=15,
)


@settings(max_examples=40)
@given(turns=TURNS, past=TURNS, seed=st.integers(0, 2**31))
def test_every_draw_has_its_probability_and_can_be_made_again(turns: list[Turn], past: list[Turn], seed: int) -> None:
    drawn = draw_turn(ARMS, turns, seed=seed, past=past)
    assert drawn == draw_turn(ARMS, turns, seed=seed, past=past)
    shares = [e.probability for e in drawn.estimates]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    assert drawn.probability == shares[ARMS.index(drawn.arm)]
    assert drawn.record()["probability"] == drawn.probability
    assert [arm["probability"] for arm in drawn.record()["arms"]] == shares  # what an account of the turns needs


def test_the_probability_is_how_often_an_arm_is_drawn() -> None:
    turns = [turn(PLANNER, 0.3), turn(ADVISORS, 0.3)]
    drawn = [draw_turn(ARMS, turns, seed=seed) for seed in range(400)]
    for arm in ARMS:
        expected = sum(d.estimates[ARMS.index(arm)].probability for d in drawn)
        found = sum(d.arm == arm for d in drawn)
        assert abs(found - expected) < 4 * (expected * (1 - expected / 400)) ** 0.5


def test_a_model_is_asked_at_first() -> None:
    assert share(PLANNER, [ADVISORS, PLANNER], []) > 0.5


def test_who_gains_gets_the_turns() -> None:
    arms = [ADVISORS, PLANNER]
    assert share(PLANNER, arms, wins(PLANNER, ADVISORS)) > 0.8
    assert share(PLANNER, arms, wins(ADVISORS, PLANNER)) < 0.1


def test_of_equals_the_cheap_one_gets_the_turns() -> None:
    arms = [ADVISORS, PLANNER]
    even = [turn(a, 0.5, index=i) for i in range(1, 21) for a in arms]
    assert share(PLANNER, arms, even) < 0.1
    few = even[:8]
    dear = [replace(t, model_seconds=30.0) if t.model == "m" else t for t in few]
    assert share(PLANNER, arms, dear) < share(PLANNER, arms, few)


def test_the_predictor_is_the_prior() -> None:
    def asked(success: float | None) -> float:
        arm = replace(PLANNER, success=success)
        return share(arm, [ADVISORS, arm], [])

    assert asked(0.1) < asked(0.5) < asked(0.8)
    assert asked(None) == asked(0.5) == asked(float("nan"))


def test_where_the_predictor_speaks_of_the_advisors_too_only_the_difference_counts() -> None:
    def asked(model: float, advisors: float) -> float:
        arms = [replace(ADVISORS, success=advisors), replace(PLANNER, success=model)]
        return share(arms[1], arms, [])

    assert asked(0.1, 0.1) == asked(0.6, 0.6) == share(PLANNER, [ADVISORS, PLANNER], [])
    assert asked(0.1, 0.3) < asked(0.1, 0.1) < asked(0.3, 0.1)
    assert asked(1.0, 0.0) > asked(0.0, 1.0)


def test_a_random_chooser_gets_a_part_of_the_models_turns() -> None:
    alone, arms = [ADVISORS, PLANNER], [ADVISORS, PLANNER, CHANCE]
    assert 0.1 < share(CHANCE, arms, []) / share(PLANNER, arms, []) < 0.3
    assert share(PLANNER, arms, []) < share(PLANNER, alone, [])


def test_workflows_of_one_model_share_what_they_showed() -> None:
    other = Arm("debate", "m", seconds=1.0)
    stranger = Arm("debate", "n", seconds=1.0)
    bad = wins(ADVISORS, PLANNER)
    assert share(other, [ADVISORS, PLANNER, other], bad) < share(stranger, [ADVISORS, PLANNER, stranger], bad)


def test_other_studies_count_less_than_this_one() -> None:
    arms, bad = [ADVISORS, PLANNER], wins(ADVISORS, PLANNER, 5)
    past = [replace(t, study="another") for t in bad]
    here, there = share(PLANNER, arms, bad, index=6), share(PLANNER, arms, [], past=past, index=6)
    assert here < there < share(PLANNER, arms, [], index=6)
    assert share(PLANNER, arms, [], past=past, discount=0.0, index=6) == share(PLANNER, arms, [], index=6)


def test_a_gain_late_in_a_study_counts_more_than_one_at_its_begin() -> None:
    arms = [ADVISORS, PLANNER]
    early = [turn(PLANNER, 1.0, 1), *(turn(a, 0.0, i) for i in range(2, 30) for a in arms)]
    late = [turn(PLANNER, 0.0, 1), *(turn(a, float(a is PLANNER and i == 29), i) for i in range(2, 30) for a in arms)]
    assert share(PLANNER, arms, late) > share(PLANNER, arms, early)


def test_turns_that_nobody_else_could_have_had_say_nothing() -> None:
    arms = [ADVISORS, PLANNER]
    fixed = [replace(t, probability=1.0) for t in wins(ADVISORS, PLANNER)]
    idle = [replace(t, decided=t.model != "m") for t in wins(PLANNER, ADVISORS)]
    assert share(PLANNER, arms, fixed, index=5) > 0.5
    assert share(PLANNER, arms, [t for t in idle if t.model == "m"], index=5) > 0.5


def test_the_price_of_a_model_is_beside_the_training_of_this_study() -> None:
    arms = [ADVISORS, replace(PLANNER, seconds=30.0)]
    long, short = [turn(ADVISORS, None, 0, seconds=s, probability=1.0) for s in (3600.0, 10.0)]
    past = [turn(ADVISORS, None, 0, seconds=1e5, study="another")]
    assert share(arms[1], arms, [short], past=past) < share(arms[1], arms, [long], past=past)
    assert draw_turn(arms, [short], seed=0, past=past).estimates[1].cost == pytest.approx(4)


def test_what_memory_gives_first_is_nobodys_choice() -> None:
    facts = {"best_before": 1.0, "scale": 1.0, "workflow": "advisors", "choice_probability": 0.5}
    trials = [Trial(n, {}, State.COMPLETE, 0.5, source="transfer", extra={**facts, "index": n}) for n in (1, 2, 3)]
    assert [t.compares for t in turns_of(trials, Direction.MINIMIZE)] == [False, False, True]


def test_each_draw_says_why() -> None:
    turns = [turn(a, 0.5, index=i) for i in range(1, 21) for a in (ADVISORS, PLANNER)]
    said = {draw_turn(ARMS, given, seed=s).reason for s in range(150) for given in ([], turns)}
    for words in (
        "so it may show what it can",
        "the draw fell to the advisors",
        "drawn by lot",
        "to tell choosing from luck",
        "too little, or too unsure",
    ):
        assert any(words in reason for reason in said), words


def test_one_arm_gets_every_turn_and_none_is_an_error() -> None:
    assert draw_turn([ADVISORS], [], seed=0).probability == 1
    with pytest.raises(ValueError, match="at least one arm"):
        draw_turn([], [], seed=0)


def test_turns_of_a_study() -> None:
    facts = {"best_before": 1.0, "noise": 0.0, "scale": 1.0, "index": 1, "model_seconds": 2.0, "decisions": 1}
    drawn = {"workflow": "planner", "model": "m", "probability": 0.4, "random": False, "reason": ""}
    trials = [
        Trial(0, {}, State.COMPLETE, 1.0, seconds=5.0, extra={"workflow": "planner", "model": "m"}),
        Trial(1, {}, State.COMPLETE, 0.5, seconds=6.0, source="gp", extra={**facts, "turn": drawn}),
        Trial(
            2,
            {},
            State.FAILED,
            extra={**facts, "choice_probability": -3, "index": "?", "turn": 7, "workflow": "advisors", "model": "m"},
        ),
        Trial(3, {}, State.RUNNING),
    ]
    first, second, third = turns_of(trials, Direction.MINIMIZE, study="s")
    assert not first.compares
    assert second == Turn("planner", "m", 0.5, 6.0, 2.0, 0.4, 1, "s", True)
    assert second.compares
    assert (third.workflow, third.model, third.gain, third.index) == ("advisors", "none", 0.0, 2)


def test_a_training_of_no_time_at_all_makes_no_cost_infinite() -> None:
    drawn = draw_turn(ARMS, [replace(turn(ADVISORS, 0.3), seconds=2.2e-313)], seed=0)
    assert all(math.isfinite(e.cost) for e in drawn.estimates)
