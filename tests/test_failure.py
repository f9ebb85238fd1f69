"""The failure model: what it learns, what it makes of odd data, and that derived features help or do no harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.predictor.derived import Derived, derived_of
from luthier.predictor.failure import FailureModel, Recalled, label
from luthier.predictor.logit import fit_logit
from luthier.predictor.metrics import auc
from luthier.predictor.space_columns import SpaceColumns
from luthier.trials.records import PLACE_CAUSES, Cause, Config, Failure, State, Trial
from luthier.trials.space import Choice, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 1.0, log=True, default=1e-3),
        "layers": Int(2, 24, default=4),
        "units": Int(32, 1024, log=True, default=64),
        "batch": Choice((16, 32, 64, 128, 256), default=32),
        "kind": Choice(("plain", "gated"), default="plain"),
        "gate": Float(0.0, 1.0, default=0.5, when='kind == "gated"'),
    }
)
SIZE = "layers * units * batch"


def trial(number: int, config: Config, fails: bool, cause: Cause = Cause.OUT_OF_MEMORY) -> Trial:
    if fails:
        return Trial(number, config, State.FAILED, failure=Failure(cause))
    return Trial(number, config, State.COMPLETE, value=0.5)


def too_large(config: Config) -> bool:
    return config["layers"] * config["units"] * config["batch"] > 100_000


def drawn(count: int, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    return [trial(i, c, too_large(c)) for i, c in enumerate(SPACE.sample(rng) for _ in range(count))]


def quality(trained: Sequence[Trial], features: Sequence[Derived] = (), **given: object) -> float:
    tested = drawn(400, seed=99)
    model = FailureModel(SPACE, derived=features, **given).fit(trained)
    found = model.probability([t.config for t in tested])
    assert found is not None
    assert ((found >= 0) & (found <= 1)).all()
    return auc(found, np.array([t.died_there for t in tested]))


def test_sizes_are_learnt_from_twenty_trials_whatever_they_are_called() -> None:
    assert np.mean([quality(drawn(20, seed)) for seed in range(5)]) > 0.9


def test_the_right_feature_helps_and_wrong_ones_do_no_harm() -> None:
    right, wrong = derived_of([SIZE], SPACE), derived_of(["lr * gate", "units / batch", "layers % 3", "1 / lr"], SPACE)
    plain, helped, harmed = (
        float(np.mean([quality(drawn(20, seed), features) for seed in range(5)])) for features in ((), right, wrong)
    )
    assert helped > plain
    assert harmed > plain - 0.03


def test_the_right_feature_is_believed_and_the_others_are_not() -> None:
    model = FailureModel(SPACE, derived=derived_of(["units / batch", SIZE, "lr * gate"], SPACE)).fit(drawn(60))
    assert max(model.weights, key=model.weights.__getitem__) == SIZE
    assert sum(model.weights.values()) == pytest.approx(1)


def test_divergence_is_learnt_where_no_size_matters() -> None:
    rng = np.random.default_rng(1)
    configs = [SPACE.sample(rng) for _ in range(300)]
    trials = [trial(i, c, c["lr"] > 0.05, Cause.NAN) for i, c in enumerate(configs)]
    found = FailureModel(SPACE).fit(trials[:60]).probability(configs[60:])
    assert found is not None
    assert auc(found, np.array([t.died_there for t in trials[60:]])) > 0.95


def test_recalled_trials_tell_before_the_first_own_one() -> None:
    recalled = [Recalled(t, 0.5) for t in drawn(60, seed=7)]
    assert quality([], recalled=recalled) > 0.9


def test_own_trials_outvote_a_memory_that_contradicts_them() -> None:
    small = [replace(t, state=State.COMPLETE, value=1.0, failure=None) for t in drawn(60, seed=7)]
    against = [Recalled(trial(t.number, t.config, not too_large(t.config)), 0.2) for t in small]
    assert quality(drawn(80), recalled=against) > 0.85


def test_a_study_on_more_memory_is_told_apart_by_its_task() -> None:
    """Another machine fails at other sizes; how far the level is off is learnt from own trials."""
    elsewhere = [Recalled(t, 0.5, {"rows": 1000.0, "odd": math.nan}) for t in drawn(60, seed=7)]
    rng = np.random.default_rng(3)
    own = [trial(i, c, False) for i, c in enumerate(SPACE.sample(rng) for _ in range(30))]
    model = FailureModel(SPACE, recalled=elsewhere, task={"rows": 10.0, "odd": 1.0}).fit(own)
    found = model.probability([t.config for t in own])
    assert found is not None
    assert found.mean() < np.mean([t.trial.died_there for t in elsewhere]) / 2


@pytest.mark.parametrize(
    "trials",
    [
        [],
        drawn(1),
        [trial(i, SPACE.default(), True) for i in range(9)],
        [trial(i, SPACE.default(), False) for i in range(9)],
        [trial(i, SPACE.default(), True, Cause.INTERRUPTED) for i in range(9)] + drawn(1),
        [replace(t, state=State.RUNNING) for t in drawn(9)],
    ],
    ids=["none", "one", "all failed", "none failed", "launch failures", "running"],
)
def test_with_too_little_it_says_nothing(trials: list[Trial]) -> None:
    model = FailureModel(SPACE).fit(trials)
    assert not model.ready
    assert model.probability([SPACE.default()]) is None


def test_the_same_data_and_seed_give_the_same_answers_and_nothing_is_kept_from_an_earlier_fit() -> None:
    configs = [t.config for t in drawn(50, seed=5)]
    first = FailureModel(SPACE, seed=3).fit(drawn(30))
    second = FailureModel(SPACE, seed=3).fit(drawn(10, seed=8)).fit(drawn(30))
    assert np.array_equal(first.probability(configs), second.probability(configs))
    assert first.fit([]).probability(configs) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "many", True, 10**400], ids=range(6))
def test_odd_values_count_as_the_default(value: object) -> None:
    odd = [replace(t, config={**t.config, "units": value, "kind": value}) for t in drawn(20)]
    found = FailureModel(SPACE, derived=derived_of([SIZE], SPACE)).fit(odd).probability([{"units": value}, {}])
    assert found is not None
    assert np.isfinite(found).all()


@pytest.mark.parametrize("cause", list(Cause))
def test_a_failure_counts_where_it_says_something_of_the_place(cause: Cause) -> None:
    assert label(trial(0, {}, True, cause)) == (True if cause in PLACE_CAUSES else None)


def test_a_stopped_trial_ran_and_a_failure_without_a_cause_says_nothing() -> None:
    assert label(Trial(0, {}, State.PRUNED, value=1.0)) is False
    assert label(Trial(0, {}, State.FAILED)) is None
    assert label(Trial(0, {}, State.RUNNING)) is None


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_columns_lie_in_the_unit_cube_and_know_what_is_off(seed: int) -> None:
    columns = SpaceColumns(SPACE)
    config = SPACE.sample(np.random.default_rng(seed))
    row = columns([config])[0]
    assert ((row >= 0) & (row <= 1)).all()
    assert len(row) == len(columns.whole) == 8
    assert row[-1] == ("gate" in config)


class TestLogit:
    @given(
        labels=st.lists(st.booleans(), min_size=2, max_size=20),
        seed=st.integers(0, 99),
        spread=st.floats(0.1, 20.0),
    )
    @settings(max_examples=50)
    def test_probabilities_are_inside_and_a_row_is_foreseen_worse_without_itself(
        self, labels: list[bool], seed: int, spread: float
    ) -> None:
        rows = np.random.default_rng(seed).standard_normal((len(labels), 3))
        y = np.array(labels, float)
        model = fit_logit(rows, y, np.ones(len(y)), np.zeros(3), np.full(3, spread))
        inside = model.probability(rows)
        assert ((inside > 0) & (inside < 1)).all()
        assert (np.abs(y - model.held_out) >= np.abs(y - inside) - 1e-6).all()

    def test_without_rows_that_say_anything_the_prior_stays(self) -> None:
        mean, spread = np.array([2.0, -1.0]), np.array([0.5, 3.0])
        model = fit_logit(np.zeros((3, 2)), np.array([1.0, 0.0, 1.0]), np.ones(3), mean, spread)
        assert model.centre == pytest.approx(mean)
        assert model.covariance == pytest.approx(np.diag(spread**2))

    def test_held_out_is_close_to_really_leaving_out(self) -> None:
        rng = np.random.default_rng(0)
        rows = np.column_stack([rng.standard_normal((30, 2)), np.ones(30)])
        y = (rows[:, 0] + 0.5 * rng.standard_normal(30) > 0).astype(float)
        mean, spread = np.zeros(3), np.full(3, 2.0)
        quick = fit_logit(rows, y, np.ones(30), mean, spread).held_out
        for i in range(30):
            keep = np.arange(30) != i
            slow = fit_logit(rows[keep], y[keep], np.ones(29), mean, spread).probability(rows[i : i + 1])[0]
            assert quick[i] == pytest.approx(slow, abs=0.05)

    def test_a_weight_is_as_many_rows(self) -> None:
        rows, y = np.array([[1.0], [-1.0], [0.5]]), np.array([1.0, 0.0, 0.0])
        once = fit_logit(rows, y, np.array([2.0, 1.0, 1.0]), np.zeros(1), np.ones(1))
        twice = fit_logit(rows[[0, 0, 1, 2]], y[[0, 0, 1, 2]], np.ones(4), np.zeros(1), np.ones(1))
        assert once.centre == pytest.approx(twice.centre, abs=1e-4)
