"""The metrics of predictions: against scikit-learn and scipy, and that ties never help."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import kendalltau
from sklearn import metrics as sk

from luthier.predictor import metrics

COARSE = st.integers(0, 4).map(lambda x: x / 4)  # few values, so that ties are common


def arrays(low: int = 2, high: int = 9) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Two arrays of one length."""
    return st.integers(low, high).flatmap(
        lambda n: st.tuples(hnp.arrays(float, n, elements=COARSE), hnp.arrays(float, n, elements=COARSE))
    )


@given(arrays())
def test_auc_is_scikit_learn_s(both: tuple[np.ndarray, np.ndarray]) -> None:
    score, label = both[0], (both[1] > 0.5).astype(int)
    if len(set(label)) == 2:
        assert metrics.auc(score, label) == pytest.approx(sk.roc_auc_score(label, score))
    else:
        assert np.isnan(metrics.auc(score, label))


@given(arrays(3, 12), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_auc_of_resampled_groups_is_the_auc_of_the_rows_repeated(
    both: tuple[np.ndarray, np.ndarray], times: list[int]
) -> None:
    score, label = both[0], (both[1] > 0.5).astype(int)
    group = np.arange(len(score)) % 3
    rows = np.repeat(np.arange(len(score)), np.array(times)[group])
    found = metrics.Concordance.of(score, label, group).auc(np.array([times], float))[0]
    assert found == pytest.approx(metrics.auc(score[rows], label[rows]), nan_ok=True)


@given(arrays())
def test_accuracy_brier_and_log_loss_of_labels_are_scikit_learn_s(both: tuple[np.ndarray, np.ndarray]) -> None:
    probability, label = both[0] * 0.9 + 0.05, (both[1] > 0.5).astype(int)
    assert metrics.accuracy(probability, label) == pytest.approx(sk.accuracy_score(label, probability >= 0.5))
    assert metrics.brier(probability, label) == pytest.approx(sk.brier_score_loss(label, probability))
    assert metrics.log_loss(probability, label) == pytest.approx(sk.log_loss(label, probability, labels=[0, 1]))


@given(arrays(), st.integers(1, 4))
def test_run_frequencies_weigh_as_their_runs_would(both: tuple[np.ndarray, np.ndarray], runs: int) -> None:
    probability, successes = both[0] * 0.8 + 0.1, np.round(both[1] * runs).astype(int)
    each = np.concatenate([[1] * s + [0] * (runs - s) for s in successes]).astype(int)
    repeated = np.repeat(probability, runs)
    weight = np.full(len(probability), float(runs))
    for metric in (metrics.brier, metrics.log_loss, metrics.calibration_error):
        assert metric(probability, successes / runs, weight) == pytest.approx(metric(repeated, each))


def test_calibration_error_of_known_cases() -> None:
    assert metrics.calibration_error(np.full(10, 0.7), np.array([1.0] * 7 + [0.0] * 3)) == pytest.approx(0)
    assert metrics.calibration_error(np.array([0.95, 0.05]), np.array([0.0, 1.0])) == pytest.approx(0.95)
    assert metrics.calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0
    assert metrics.calibration_error(np.array([0.9, 0.1]), np.array([1.0, 0.5]), np.array([3.0, 1.0])) == pytest.approx(
        0.75 * 0.1 + 0.25 * 0.4
    )


def test_a_wrong_certainty_costs_much_but_is_finite() -> None:
    assert 30 < metrics.log_loss(np.array([0.0]), np.array([1.0])) < 40


def test_no_rows_have_no_value() -> None:
    empty = np.zeros(0)
    for metric in (metrics.accuracy, metrics.brier, metrics.log_loss, metrics.calibration_error, metrics.auc):
        assert np.isnan(metric(empty, empty))


@given(arrays())
def test_tau_is_scipy_s(both: tuple[np.ndarray, np.ndarray]) -> None:
    expected = kendalltau(*both).statistic
    assert float(metrics.kendall_tau(*both)) == pytest.approx(expected, nan_ok=True)


@given(arrays(2, 5), st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_weights_are_copies(both: tuple[np.ndarray, np.ndarray], times: list[int]) -> None:
    weight = np.array(times[: len(both[0])], float)
    if weight.sum() < 1:
        return
    copies = np.repeat(np.arange(len(weight)), weight.astype(int))
    for metric in (metrics.kendall_tau, metrics.top_regret, metrics.utility):
        assert metric(*both, weight) == pytest.approx(metric(both[0][copies], both[1][copies]), nan_ok=True)


@given(arrays(), st.integers(0, 99))
def test_rounding_is_no_order(both: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    noisy = both[0] + np.random.default_rng(seed).uniform(-1e-8, 1e-8, len(both[0]))
    for metric in (metrics.kendall_tau, metrics.top_regret, metrics.utility):
        assert float(metric(noisy, both[1])) == pytest.approx(float(metric(*both)), nan_ok=True)


@given(arrays())
def test_many_rankings_at_once_are_each_one_alone(both: tuple[np.ndarray, np.ndarray]) -> None:
    stacked = np.stack([both[0], both[1], both[0][::-1]]), np.stack([both[1], both[0], both[1][::-1]])
    for metric in (metrics.kendall_tau, metrics.top_regret, metrics.utility):
        alone = [float(metric(p, t)) for p, t in zip(*stacked, strict=True)]
        assert metric(*stacked) == pytest.approx(alone, nan_ok=True)


@given(arrays())
def test_regret_lies_between_0_and_the_range_and_ties_are_averaged(both: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = both
    assert 0 <= metrics.top_regret(predicted, true) <= np.ptp(true)
    assert metrics.top_regret(true, true) == 0
    assert metrics.top_regret(np.ones_like(true), true) == pytest.approx(true.max() - true.mean())


@given(arrays(1, 9))
def test_a_constant_predictor_gets_chance_whatever_the_truth_and_its_order(
    both: tuple[np.ndarray, np.ndarray],
) -> None:
    """The published metric keeps the file's order in ties, so a constant predictor can get 100."""
    n = len(both[1])
    chance = (n + 1) / (2 * n)
    for true in (both[1], np.sort(both[1]), np.sort(both[1])[::-1]):
        assert float(metrics.utility(np.full(n, 0.5), true)) == pytest.approx(chance)


@given(arrays(2, 3))
def test_utility_is_the_mean_over_all_shuffles(both: tuple[np.ndarray, np.ndarray]) -> None:
    found = []
    places = list(itertools.permutations(range(len(both[0]))))
    for ours, theirs in itertools.product(places, places):
        first = np.lexsort((ours, -both[0]))
        second = np.lexsort((theirs, -both[1]))
        n = len(first)
        overlap = [len({*first[:k]} & {*second[:k]}) / k for k in range(1, n + 1)]
        found.append((sum(overlap) - (overlap[0] + overlap[-1]) / 2) / (n - 1))
    assert float(metrics.utility(*both)) == pytest.approx(np.mean(found))


@given(st.permutations(range(7)))
def test_a_perfect_ranking_without_ties_has_utility_1(order: list[int]) -> None:
    assert float(metrics.utility(np.array(order, float), np.array(order, float) / 7)) == pytest.approx(1)


@given(arrays())
def test_the_order_of_rows_does_not_matter(both: tuple[np.ndarray, np.ndarray]) -> None:
    for metric in (metrics.kendall_tau, metrics.top_regret, metrics.utility):
        assert float(metric(*both)) == pytest.approx(float(metric(both[0][::-1], both[1][::-1])), nan_ok=True)


@given(arrays(4, 8))
def test_tau_within_blocks_compares_nothing_across(both: tuple[np.ndarray, np.ndarray]) -> None:
    block = np.arange(len(both[0])) % 2
    lifted = both[0] + 10 * block
    assert metrics.kendall_tau(lifted, both[1], block=block) == pytest.approx(
        metrics.kendall_tau(*both, block=block), nan_ok=True
    )
    one = np.zeros(len(block))
    assert metrics.kendall_tau(*both, block=one) == pytest.approx(metrics.kendall_tau(*both), nan_ok=True)
