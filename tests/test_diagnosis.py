"""Diagnoses: the labelled curves, and what must not change them."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import complete, failed
from hypothesis import assume, given
from hypothesis import strategies as st

from luthier.trials import forest
from luthier.trials.diagnosis import Verdict, diagnose, diagnose_curves
from luthier.trials.records import Cause, Direction

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import diagnosis as benchmark  # noqa: E402

DOWN = [1.0 / (step + 1) for step in range(20)]

TABLE = {
    Verdict.OVERFITTING: [*DOWN[:10], *(DOWN[9] + 0.03 * k for k in range(1, 11))],
    Verdict.PLATEAU: [1.0, 0.5, 0.3, *([0.12] * 17)],
    Verdict.IMPROVING: [1.0 - step / 25 for step in range(20)],
    Verdict.UNSTABLE: [1.0, 0.2, 0.9, 0.3, 0.8, 0.2, 0.9, 0.3, 0.8, 0.25, 0.9, 0.3],
    Verdict.UNDERFITTING: [1.0, 0.99, 0.985, *([0.98] * 17)],
    Verdict.DIVERGED: [1.0, 0.9, 5.0, 9.0, 12.0, 20.0, 30.0, 50.0],
    Verdict.UNJUDGED: [1.0, 0.5],
}


def verdict(values: list[float], direction: Direction = Direction.MINIMIZE, best: float | None = 0.1) -> Verdict:
    return diagnose_curves(range(len(values)), None, values, direction, best).verdict


@pytest.mark.parametrize("expected", TABLE)
def test_a_clear_case_of_each(expected: Verdict) -> None:
    assert verdict(TABLE[expected]) is expected


curves = st.lists(st.floats(-100, 100), min_size=4, max_size=40)


@given(curves, st.floats(0.01, 100), st.floats(-50, 50), st.floats(-100, 100))
def test_scale_and_offset_do_not_matter(values: list[float], scale: float, offset: float, best: float) -> None:
    *rounded, best = (round(v, 1) for v in (*values, best))  # so that moving cannot blur two values into one
    moved = [v * scale + offset for v in rounded]
    assert _robust(rounded, best) == _robust(moved, best * scale + offset)


def _robust(values: list[float], best: float) -> Verdict:
    span = max(values) - min(values)
    assume(span == 0 or span > 1e-6)
    return verdict(
        [round((v - values[0]) / (span or 1.0), 9) for v in values], best=round((best - values[0]) / (span or 1.0), 9)
    )


@given(curves, st.floats(-100, 100))
def test_the_mirror_image_has_the_same_verdict(values: list[float], best: float) -> None:
    mirrored = [-v for v in values]
    assert verdict(values, best=best) is verdict(mirrored, Direction.MAXIMIZE, -best)


@given(curves)
def test_a_curve_that_ends_in_nan_has_diverged(values: list[float]) -> None:
    assert verdict([*values, math.nan]) is Verdict.DIVERGED
    assert verdict([*values, math.inf]) is Verdict.DIVERGED


HUGE = [[1.7e308, -1.7e308, 1e308, -1e308, 0.0, 5.0], [5e-324, 0.0, 0.0, 0.0], [0.0] * 4]


@pytest.mark.parametrize("values", HUGE)
@pytest.mark.parametrize("best", [None, 0.0, 1.7e308, -1.7e308, math.inf, -math.inf, math.nan])
def test_no_number_is_too_large_or_small_for_a_verdict(values: list[float], best: float | None) -> None:
    for train in (None, values, [math.inf, *values[1:]]):
        assert diagnose_curves(range(len(values)), train, values, Direction.MINIMIZE, best).evidence


def test_training_that_falls_with_validation_is_no_overfitting() -> None:
    falls = [1.0, 0.5, 0.4, *(0.4 + 0.03 * k for k in range(1, 18))]
    learns = [1.0 / (k + 1) for k in range(20)]
    for train, expected in ((learns, Verdict.OVERFITTING), (falls, Verdict.DIVERGED)):
        assert diagnose_curves(range(20), train, falls, Direction.MINIMIZE, 0.3).verdict is expected


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=40),
    st.none() | st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([1.0, 0.3, 0.02]),
)
def test_what_never_learned_never_overfits(falls: list[float], train: float | None, best: float, height: float) -> None:
    """Accuracies that are never above the first one, and a training curve that is not either."""
    valid = [best, *(best - height * fall for fall in falls)]
    trained = None if train is None else [best - height * train * fall for fall in [0.0, *reversed(falls)]]
    for reference in (None, best, best + 0.5, best + 5.0):
        found = diagnose_curves(range(len(valid)), trained, valid, Direction.MAXIMIZE, reference)
        assert found.verdict is not Verdict.OVERFITTING


# Epochs of examples/digits/train.py with Adam at a learning rate of 0.3: it says one or two of ten digits.
AT_CHANCE = [0.177, 0.165, 0.2, 0.195, 0.19, 0.15, 0.127, 0.207, 0.183, 0.162, 0.177, 0.175, 0.162, 0.165, 0.18, 0.165,
             0.168, 0.18, 0.132, 0.185, 0.198, 0.162, 0.127, 0.153, 0.16]  # fmt: skip


@pytest.mark.parametrize("valid", [AT_CHANCE, [0.1] * 20, [0.13] + [0.1] * 19, [0.1, 0.11] * 10])
@pytest.mark.parametrize("trained", [None, 0.1])
def test_a_trial_that_stays_at_chance_underfits(valid: list[float], trained: float | None) -> None:
    train = None if trained is None else [trained] * len(valid)
    assert diagnose_curves(range(len(valid)), train, valid, Direction.MAXIMIZE, 0.97).verdict is Verdict.UNDERFITTING


def test_what_falls_far_below_its_first_report_has_diverged() -> None:
    valid = [0.3] + [0.1] * 19
    for train in (None, [0.1] * 20):
        assert diagnose_curves(range(20), train, valid, Direction.MAXIMIZE, 0.97).verdict is Verdict.DIVERGED


def test_what_was_learned_before_the_first_report_can_overfit() -> None:
    """A fine-tuned model is at its best after the first epoch, and fits its training data ever better."""
    valid, train = [0.5 + 0.05 * k for k in range(20)], [0.3 / (k + 1) for k in range(20)]
    assert diagnose_curves(range(20), train, valid, Direction.MINIMIZE, 0.4).verdict is Verdict.OVERFITTING


@pytest.mark.parametrize("end", [1e6, 1e46, 1e300])
@pytest.mark.parametrize("reference", [None, 0.2])
def test_a_value_that_explodes_has_diverged_whatever_training_does(end: float, reference: float | None) -> None:
    """As boosting does at a learning rate above 2."""
    valid = [1.0, 0.9, 0.8, *(end ** (k / 17) for k in range(1, 18))]
    for train in (None, [0.9 * v for v in valid], [1.0 / (k + 1) for k in range(20)]):
        assert diagnose_curves(range(20), train, valid, Direction.MINIMIZE, reference).verdict is Verdict.DIVERGED
    jumps = [1.0, 0.9, 0.8, end, end]
    assert diagnose_curves(range(5), None, jumps, Direction.MINIMIZE, reference).verdict is Verdict.DIVERGED


def test_fewer_than_four_points_are_not_judged() -> None:
    assert verdict([1.0, 5.0, 90.0]) is Verdict.UNJUDGED


def test_a_fall_from_bad_initial_weights_is_no_learning() -> None:
    assert verdict([26.0, 2.4, *([2.3] * 30)], best=0.5) is Verdict.UNDERFITTING


def test_a_slow_slope_counts_as_long_as_it_goes_on() -> None:
    straight = [1.0 - 0.1 * k / 29 for k in range(30)]
    flattens = [0.9 + 0.1 * math.exp(-k / 8) for k in range(30)]
    assert verdict(straight) is Verdict.IMPROVING
    assert verdict(flattens) is Verdict.UNDERFITTING


@pytest.mark.parametrize("height", [0.005, 0.02, 0.06])
def test_swings_alone_are_no_improvement(height: float) -> None:
    swings = [1.0 + (height if k % 2 else 0.0) for k in range(40)]
    assert verdict(swings) is not Verdict.IMPROVING


def test_the_step_says_since_when() -> None:
    found = diagnose_curves(range(0, 200, 10), None, TABLE[Verdict.OVERFITTING], Direction.MINIMIZE)
    assert found.since == 90
    assert diagnose_curves((0, 5, 9), None, (1.0, math.nan, math.nan), Direction.MINIMIZE).since == 5


def test_crashes_carry_their_cause_and_last_line() -> None:
    found = diagnose(failed(3, {}, Cause.OUT_OF_MEMORY, "line one\nMemoryError: no"), Direction.MINIMIZE, "loss")
    assert (found.verdict, found.cause) == (Verdict.CRASHED, Cause.OUT_OF_MEMORY)
    assert "MemoryError: no" in found.evidence
    assert "line one" not in found.evidence


def test_a_nan_is_divergence_and_no_crash() -> None:
    assert diagnose(failed(3, {}, Cause.NAN), Direction.MINIMIZE, "loss").verdict is Verdict.DIVERGED


def test_a_trial_without_a_curve_is_not_judged() -> None:
    assert diagnose(complete(0, {}, 1.0), Direction.MINIMIZE, "loss").verdict is Verdict.UNJUDGED
    bare = replace(complete(0, {}, 1.0), trajectory=complete(0, {}, 1.0).trajectory.__class__())
    assert diagnose(bare, Direction.MINIMIZE, "loss").verdict is Verdict.UNJUDGED


def share_right(part: str) -> float:
    curves = benchmark.load(part)
    return sum(benchmark.verdict(curve) == curve["label"] for curve in curves) / len(curves)


def test_the_development_curves_stay_right() -> None:
    assert share_right("development") >= 780 / 827


def test_the_held_out_curves_stay_as_right_as_when_they_were_fresh() -> None:
    """Nothing may be fitted to them; a change that loses one needs fresh curves to be judged by."""
    assert share_right("held out") >= 93 / 105


def test_the_trees_ask_only_for_known_quantities_and_name_only_verdicts() -> None:
    nodes = list(json.loads(forest.FILE.read_text())["trees"])
    for node in nodes:  # grows as it goes
        if isinstance(node, list):
            assert node[0] in forest.QUANTITIES
            nodes += node[2:]
        else:
            assert set(node) <= set(Verdict)


@pytest.mark.parametrize("part", benchmark.SETS)
def test_the_docs_show_the_tables_that_the_benchmark_prints(part: str) -> None:
    assert benchmark.table(benchmark.confusion(benchmark.load(part))) in (ROOT / "docs" / "diagnosis.md").read_text()
