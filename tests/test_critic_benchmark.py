"""The benchmark of the critic's scorer: its figures from made-up steps, paired, and the same at each call."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from luthier.predictor.metrics import auc
from luthier.predictor.step_features import FEATURES
from luthier.trials.records import Direction, State, Trial
from luthier.trials.space import Float, Space

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import critic
import critic_decisions as decisions
import critic_loop
import critic_models as models
from critic_table import Rows, gain, table
from critic_worlds import Offer, Walk

WALKS, STATES = 6, 5
SOURCES = ["local", "tpe", "walk", "random"]  # what stands before each state
SPACE = Space({"x": Float(0.0, 1.0, default=0.5)})


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Steps of two suites, whose worth the feature `better` foretells half and half."""
    rng = np.random.default_rng(0)
    n = WALKS * STATES * len(SOURCES)
    alone, merged = rng.random((2, n, len(FEATURES)))
    for name in ("mends", "latest_failed", "latest_worse", "latest_better"):
        alone[:, FEATURES.index(name)] = rng.random(n) < 0.3
    worth = alone[:, FEATURES.index("better")] + rng.random(n) > 1
    walk = np.repeat(np.arange(WALKS), n // WALKS)
    return Rows(
        alone, merged, worth, worth | (rng.random(n) < 0.1), 2.0 * worth, np.array([f"w{k}" for k in walk]),
        np.array(["lcbench", "taskset"])[walk % 2], np.array(["a", "b", "c"])[walk // 2], np.full(n, "random"),
        np.tile(np.repeat(np.arange(2, 2 + STATES), len(SOURCES)), WALKS), np.tile(SOURCES, WALKS * STATES),
        np.tile([True, False, False, False], WALKS * STATES),
    )  # fmt: skip


def walk_of(values: list[float | None], offers: dict[int, list[Offer]] | None = None) -> Walk:
    trials = [
        Trial(i, {"x": i / len(values)}, State.FAILED if v is None else State.COMPLETE, v, source="random")
        for i, v in enumerate(values)
    ]
    return Walk("lcbench", "a", "random", 0, SPACE, Direction.MINIMIZE, "loss", 0.1, trials, offers or {})


class TestTable:
    def test_a_step_is_worth_what_beats_the_best_by_more_than_the_noise(self) -> None:
        other = Offer({"x": 0.9}, 0.0, "tpe")
        found = table([walk_of([1.0, 2.0, 0.95, None, 0.5], {4: [other]}), walk_of([1.0])])
        assert found.index.tolist() == [2, 3, 4, 4]  # from the third trial on; a walk of one trial has none
        assert found.taken.tolist() == [True, True, True, False]
        assert found.worth.tolist() == [False, False, True, True]
        assert found.gain.tolist() == pytest.approx([0.5, 0.0, 4.5, 9.5])

    def test_the_merged_step_starts_where_the_step_before_it_did(self) -> None:
        found = table([walk_of([1.0, 0.5, 0.55])])
        assert (found.worth.tolist(), found.worth_both.tolist()) == ([False], [True])  # 0.55 beats 1.0, not 0.5
        assert found.column("trials", merged=True) < found.column("trials")

    def test_a_failed_offer_gains_nothing(self) -> None:
        walk = walk_of([1.0])
        stand = critic.Stand(SPACE, walk.trials, walk.direction, walk.metric)
        assert [gain(walk, Offer({"x": 0.1}, v, "tpe"), stand) for v in (None, 2.0)] == [0.0, 0.0]

    def test_parts_join_to_the_whole(self, rows: Rows) -> None:
        for by in ("suite", "tuner", "task"):
            parts = [rows.take(out) for _, out in critic.held_out(rows, by)]
            assert sorted(Rows.join(parts).gain) == sorted(rows.gain)
            assert sum(map(len, parts)) == len(rows)


class TestFigures:
    def test_the_data_itself_comes_before_the_draws(self, rows: Rows) -> None:
        score = rows.column("better")
        found = critic.Draws(rows).metrics(score)
        assert all(values.shape == (1 + critic.DRAWS,) for values in found.values())
        assert found["auc"][0] == pytest.approx(auc(score, rows.worth))
        assert found["bias"][0] == pytest.approx(np.mean(score - rows.worth))
        knows = critic.Draws(rows).metrics(rows.worth.astype(float))
        assert (knows["auc"][0], knows["auc among offers"][0], knows["calibration"][0]) == (1.0, 1.0, 0.0)

    def test_differences_are_paired_and_a_second_call_says_the_same(self, rows: Rows) -> None:
        first, again = (critic.measure(rows, "suite", {"trees": models.linear}, False) for _ in range(2))
        assert list(map(str, first)) == list(map(str, again))  # no number is no number, twice
        value = {(f.suite, f.method, f.metric): f.value for f in first}
        assert {f.suite for f in first} == {"lcbench", "taskset", "mean"}
        for part, method, metric in value:
            if method.endswith(f" - {critic.REFERENCE}"):
                scorer = method.removesuffix(f" - {critic.REFERENCE}")
                gap = value[part, scorer, metric] - value[part, critic.REFERENCE, metric]
                assert value[part, method, metric] == pytest.approx(gap, nan_ok=True)
        assert all(f.low <= f.high for f in first if np.isfinite(f.low))
        shown = critic.shown(first, "mean")
        assert [c.header for c in shown.columns] == ["method", *critic.SHOWN]
        assert critic.REFERENCE in list(shown.columns[0].cells)

    def test_suites_weigh_alike(self, rows: Rows) -> None:
        some = rows.take((rows.suite == "lcbench") | (rows.walk == "w1"))
        found = models.weights(some)
        assert found.mean() == pytest.approx(1.0)
        assert found[some.suite == "lcbench"].sum() == pytest.approx(found[some.suite == "taskset"].sum())


class TestDecisions:
    def test_without_a_share_nothing_is_refused(self, rows: Rows) -> None:
        scores = (rows.column("better"), np.zeros(len(rows)))
        one, other = (decisions.worth_it(rows, score, (0.0,)) for score in scores)
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert one["informed planner at 0.0"].mean() > one["random planner at 0.0"].mean()

    def test_refusing_by_the_truth_never_costs_and_repeats_itself(self, rows: Rows) -> None:
        found, again = (decisions.worth_it(rows, rows.worth.astype(float)) for _ in range(2))
        assert all(np.array_equal(found[name], again[name]) for name in found)
        for planner in ("random", "informed"):
            assert np.all(found[f"{planner} planner at 1.0"] >= found[f"{planner} planner at 0.0"])
        assert len(found["random planner at 0.0"]) == len(decisions.turns(rows)) == WALKS * STATES

    def test_a_state_needs_something_that_runs_instead(self, rows: Rows) -> None:
        assert decisions.turns(rows.take(np.isin(rows.source, ["walk", "random"]))) == []


def test_whole_runs_are_compared_with_the_same_planner_without_a_critic() -> None:
    plain, judged = "random planner, no critic", "random planner, critic by step at 0.75"
    regrets = {("lcbench", str(k)): {(plain, 20): 0.2 + k, (judged, 20): 0.1 + k} for k in range(4)}
    found = {(f.suite, f.method, f.metric): f for f in critic_loop.summary(regrets)}
    assert found["all", plain, "regret at 20 - no critic"].shown == "0.000 [0.000, 0.000]"
    assert found["lcbench", judged, "regret at 20 - no critic"].shown == "-0.100 [-0.100, -0.100]"
    assert found["all", judged, "regret at 20"].value == pytest.approx(1.6)
