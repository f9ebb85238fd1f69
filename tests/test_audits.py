"""The account of what the gates saved and lost: intervals that are honest at small counts, and facts of any shape."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from luthier.predictor.audits import CAP, MAX_SKIPS, Audit, Facts, Ran, Skip, Turn, audits_of, facts_of
from luthier.predictor.bounded import Estimate, bounded_mean, ratio
from luthier.predictor.skipping import ENOUGH, savings_of
from luthier.trials.records import Cause, Direction, Failure, State, Trial

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from audit_studies import Studies, pools, simulate

NEAR = 0.03  # of a value: what a drawn quantile may be off
FACTS = {"best_before": 1.0, "scale": 0.5, "noise": 0.0, "audit_rate": 0.05, "audit": None, "skips": []}
SKIP = {"config": {"lr": 0.1}, "source": "gp", "reason": "", "failure": 0.9, "no_win": None, "seconds": 4.0}


def trial(number: int = 1, value: float | None = 1.0, **facts: Any) -> Trial:
    """A finished trial of a metric to be minimised; it failed where it has no value."""
    failure = Failure(Cause.OUT_OF_MEMORY) if value is None else None
    state = State.FAILED if value is None else State.COMPLETE
    return Trial(number, {}, state, value=value, failure=failure, seconds=2.0, extra={**FACTS, **facts})


def audit(gain: float = 0.0, **changes: Any) -> Audit:
    return replace(Audit("s", gain, 2.0, rate=0.05, expected=4.0, first=True), **changes)


def facts(audits: list[Audit], skips: int = 1000, instead: int = 500) -> Facts:
    return Facts(tuple(audits), (Skip("s", 4.0),) * skips, (Ran("s", 0.01, 8.0),) * instead)


@given(st.integers(1, 400), st.data())
@settings(max_examples=30)
def test_of_zeros_and_ones_it_is_the_interval_of_clopper_and_pearson(n: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, n))
    found = bounded_mean([1.0] * wins + [0.0] * (n - wins), bound=1.0)
    low = float(beta.ppf(0.025, wins, n - wins + 1)) if wins else 0.0
    high = float(beta.ppf(0.975, wins + 1, n - wins)) if wins < n else 1.0
    assert found.value == pytest.approx(wins / n)
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.1, abs=0.003)


def test_300_without_a_win_bound_the_loss_at_1_percent() -> None:
    gate = savings_of(facts([audit()] * 300)).gate
    assert gate.share_at_most == pytest.approx(0.01, rel=NEAR)
    assert savings_of(facts([audit()] * 60)).gate.share_at_most == pytest.approx(0.0487, rel=NEAR)


gains = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(gains, st.floats(0.1, 10))
@settings(max_examples=40)
def test_the_interval_has_its_mean_stays_within_the_bound_and_grows_with_the_unit(
    values: list[float], by: float
) -> None:
    found = bounded_mean(values, bound=1.0)
    assert -1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12
    scaled = bounded_mean([v * by for v in values], bound=by)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(asdict_times(found, by), rel=0.05, abs=0.01 * by)


def asdict_times(found: Estimate, by: float) -> tuple[float, float, float]:
    return found.value * by, found.low * by, found.high * by


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 5)), min_size=2, max_size=20), st.randoms())
@settings(max_examples=30)
def test_the_order_of_values_and_the_unit_of_weights_do_not_matter(
    pairs: list[tuple[float, float]], random: Any
) -> None:
    one = bounded_mean(*zip(*pairs, strict=True), bound=1.0)
    random.shuffle(pairs)
    values, weights = zip(*pairs, strict=True)
    other = bounded_mean(values, [w * 8 for w in weights], bound=1.0)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), rel=1e-9, abs=1e-12)


def test_a_value_that_stands_for_many_counts_for_many() -> None:
    assert bounded_mean([0.0, 1.0], [3.0, 1.0], bound=1.0).value == pytest.approx(0.25)
    assert bounded_mean([], bound=1.0) == Estimate(0.0, 0.0, 1.0)


def test_a_ratio_that_never_varies_is_sure_of_itself() -> None:
    found = ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0], [1.0, 1.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    wide = ratio([2.0, 9.0, 8.0], [1.0, 2.0, 4.0], [1.0] * 3)
    assert wide.low < wide.value < wide.high


def test_an_audit_is_read_from_its_trial() -> None:
    found = audits_of(
        [
            trial(1, 0.9, audit=SKIP),  # beats 1.0 by a fifth of the scale
            trial(2, 1.3, audit=SKIP, skips=[SKIP]),
            trial(3, None, audit={**SKIP, "seconds": None}),
            trial(4, -99.0, audit=SKIP),
            trial(5, 0.9),
        ],
        Direction.MINIMIZE,
        "s",
    )
    assert [one.gain for one in found] == pytest.approx([0.2, 0.0, 0.0, CAP])
    assert [one.first for one in found] == [True, False, True, True]
    assert [one.expected for one in found] == [4.0, 4.0, 2.0, 4.0]  # the mean of the study where the gate said nothing
    assert [one.weight for one in found] == pytest.approx([19.0] * 4)


def test_what_says_nothing_about_a_candidate_is_no_audit() -> None:
    begun = replace(trial(audit=SKIP), state=State.RUNNING, value=None)
    cut_off = replace(trial(2, None, audit=SKIP), failure=Failure(Cause.INTERRUPTED))
    nothing_to_beat = trial(3, audit=SKIP, best_before=None)
    last_resort = trial(4, audit=SKIP, skips=[SKIP] * MAX_SKIPS)  # would have run anyway
    assert audits_of([begun, cut_off, nothing_to_beat, last_resort], Direction.MINIMIZE) == []


def test_skips_and_what_ran_instead_and_turns_are_read() -> None:
    turn = {"workflow": "planner", "model": "m", "probability": 0.4, "random": False, "reason": ""}
    arms = [
        {"model": "m", "probability": 0.125},
        {"model": "m", "probability": 0.25},
        {"model": "none", "probability": 0.625},
    ]
    found = facts_of(
        [
            trial(1, 0.9, skips=[SKIP, SKIP], turn=turn, tokens=100, model_seconds=3.0),
            trial(2, 1.0, turn={**turn, "workflow": "advisors", "model": "none", "arms": arms}),
            trial(3, 1.0, turn={**turn, "probability": 1.0}),  # nothing was chosen
            trial(4, 1.0, turn={**turn, "model": "none", "arms": arms[2:] * 2}),  # the model rested
        ],
        Direction.MINIMIZE,
        "s",
    )
    assert len(found.skips) == 2
    assert [one.gain for one in found.instead] == pytest.approx([0.2])
    assert [(one.model, one.tokens, one.asks) for one in found.turns] == [(True, 100, None), (False, 0, 0.375)]


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SKIP, "probability"]), inner),
    max_leaves=6,
)
KEYS = (*FACTS, "turn", "tokens", "model_seconds", "energy", "cause", "workflow", "model")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JUNK), max_size=4), st.booleans())
@settings(max_examples=60)
def test_no_fact_is_too_odd_to_be_passed_over(extras: list[dict[str, Any]], fails: bool) -> None:
    trials = [trial(i, None if fails else float(i), **extra) for i, extra in enumerate(extras)]
    found = savings_of(facts_of(trials, Direction.MAXIMIZE))
    assert all(math.isfinite(v) for v in asdict(found.gate).values() if isinstance(v, float))


@pytest.mark.parametrize("amount", [1e308, 1e300, -1.0, math.inf])
def test_amounts_that_cannot_be_true_drown_no_others(amount: float) -> None:
    arms = [{"workflow": "planner", "model": "m", "probability": 0.5}, {"workflow": "advisors", "probability": 0.5}]
    asked = {"turn": {"workflow": "planner", "model": "m", "probability": 0.5, "arms": arms}}
    advised = {"turn": {"workflow": "advisors", "model": "none", "probability": 0.5, "arms": arms}}
    odd = {"tokens": amount, "model_seconds": amount, "skips": [{**SKIP, "seconds": amount}] * 3}
    trials = [trial(i, 1.0, **facts) for i, facts in enumerate([{**asked, **odd}, asked, advised], 1)]
    found = savings_of(facts_of(trials, Direction.MINIMIZE))
    assert found.gate.seconds_expected == 3 * trials[0].seconds
    assert found.turns.tokens is not None
    assert found.turns.seconds is not None
    assert (found.turns.tokens.high, found.turns.seconds.high) == (0.0, 0.0)


def test_below_60_audits_nothing_is_said_of_the_loss() -> None:
    few, enough = (savings_of(facts([audit()] * n)).gate for n in (ENOUGH - 1, ENOUGH))
    assert (few.enough_audits, few.gain, few.lost, few.seconds) == (False, None, None, None)
    assert few.seconds_expected == 4000.0
    assert enough.enough_audits
    assert enough.gain is not None
    assert enough.lost is not None
    assert enough.seconds is not None


def test_the_estimates_are_sums_over_what_was_skipped() -> None:
    gate = savings_of(facts([audit()] * 95 + [audit(0.4)] * 5)).gate
    assert gate.gain is not None
    assert gate.lost is not None
    assert gate.seconds is not None
    assert gate.gain.value == pytest.approx(1000 * 0.02)
    assert gate.lost.value == pytest.approx(500 * 0.02 - 500 * 0.01)
    assert gate.seconds.value == pytest.approx(1000 * 2.0)  # half of what the gate expected
    assert gate.joules is None
    measured = savings_of(facts([audit(joules=3.0)] * ENOUGH)).gate
    assert measured.joules is not None
    assert measured.joules.value == pytest.approx(3000.0)


def test_audits_of_a_rare_lot_stand_for_more() -> None:
    often, rarely = audit(0.0, rate=0.5), audit(0.4, rate=0.05)
    gate = savings_of(facts([often] * 100 + [rarely] * 100)).gate
    assert gate.gain is not None
    assert gate.gain.value == pytest.approx(1000 * 0.4 * 19 / 20)
    every = savings_of(facts([audit(rate=1.0)] * 100, skips=0)).gate  # nothing was skipped at that rate
    assert (every.gain, every.share) == (None, 0.0)


def test_turns_without_a_model_save_what_the_model_takes_in_its_own() -> None:
    asked = Turn("a", 0.1, model=True, asks=0.5, tokens=100.0, model_seconds=2.0)
    without = replace(asked, gain=0.0, model=False, tokens=0.0, model_seconds=0.0)
    elsewhere = replace(without, study="b", asks=None)  # no model there to be spared, as far as is known
    turns = savings_of(Facts(turns=(asked,) * 60 + (without,) * 80 + (elsewhere,) * 9)).turns
    assert (turns.asked, turns.turns, turns.compared) == (60, 80, 80)
    assert turns.tokens is not None
    assert turns.seconds is not None
    assert turns.lost is not None
    assert (turns.tokens.value, turns.seconds.value) == pytest.approx((8000.0, 160.0))
    assert turns.lost.value == pytest.approx(80 * 0.1)
    assert turns.lost.low < turns.lost.value < turns.lost.high
    alone = savings_of(Facts(turns=(without,) * 80)).turns
    assert (alone.turns, alone.compared, alone.tokens, alone.lost) == (80, 0, None, None)


def test_a_turn_of_the_model_stands_for_turns_without_it_that_were_as_likely() -> None:
    turns = [Turn("a", 1.0, True, 0.5, 0.0, 0.0)] * 50 + [Turn("a", 0.0, True, 0.05, 0.0, 0.0)] * 50
    without = [Turn("a", 0.0, False, 0.5, 0.0, 0.0)] * 100
    found = savings_of(Facts(turns=(*turns, *without))).turns
    assert found.lost is not None
    assert found.lost.value == pytest.approx(100 * 1 / 20)
    untold = [replace(turn, asks=None) for turn in turns]  # as in a study from before probabilities were kept
    assert savings_of(Facts(turns=(*untold, *without))).turns.lost is None


def test_what_turns_without_the_model_were_is_what_it_is_compared_with() -> None:
    rng, worth, found = np.random.default_rng(0), {"advisors": 0.5, "chance": 0.0, "planner": 0.3}, []
    for _ in range(60):
        facts, lost = simulated_turns(rng, worth)
        estimate = savings_of(facts).turns.lost
        assert estimate is not None
        found.append((estimate.value - lost, estimate.low <= lost <= estimate.high, lost))
    errors, held, truths = map(np.array, zip(*found, strict=True))
    assert truths.mean() < 0  # the model gains less than what ran without it, though more than chance
    assert abs(errors.mean()) < 4 * errors.std() / len(errors) ** 0.5
    assert held.mean() >= 0.9


def simulated_turns(rng: np.random.Generator, worth: dict[str, float]) -> tuple[Facts, float]:
    """20 studies of 40 turns in which gains fade and the model loses its turns, and what those without it lost."""
    turns, lost = [], 0.0
    for study in range(20):
        for index in range(1, 41):
            asks = float(np.exp(-index / 15) * 0.6 + 0.05)
            chances = {"planner": asks, "chance": 0.15 * asks, "advisors": 1 - 1.15 * asks}
            name = str(rng.choice(list(chances), p=list(chances.values())))
            fades = index**-0.5
            gain = float(rng.random() < worth[name] * fades)
            turns.append(Turn(str(study), gain, name == "planner", asks, 0.0, 0.0))
            lost += (worth["planner"] - worth[name]) * fades * (name != "planner")
    return Facts(turns=tuple(turns)), lost


def test_the_simulated_studies_are_estimated_right_on_average() -> None:
    rng = np.random.default_rng(1)
    studies = Studies(rng.normal(size=(3, 400)), rng.lognormal(size=(3, 400)))
    told = list(pools(simulate(studies, "blurred", 60 * 30, rng), 60))[:30]
    found = [(savings_of(pool.facts).gate, pool) for pool in told]
    means = [(one.gain.value / one.skips, pool.gain / one.skips) for one, pool in found if one.gain is not None]
    estimated, true = np.array(means).T
    error = (estimated - true).std() / np.sqrt(len(means))
    assert len(means) == 30
    assert abs((estimated - true).mean()) < 4 * error
    assert np.mean([one.share_at_most >= pool.wins / one.skips for one, pool in found]) > 0.8
