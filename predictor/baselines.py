"""Simple predictors that the others must beat: majority, the suite's mean, and scikit-learn on features."""

from __future__ import annotations

from itertools import product
from typing import Any, Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression as SklearnLogistic
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .encoding import Encoder
from .estimator import Estimates, Progress, silent
from .features import Features
from .logs import Logs, Pairs

EDGE = 1e-6  # probabilities stay this far from 0 and 1
DOUBT = 0.01  # of a run: each pair counts as so much success and failure more, so that both are always there


class Majority:
    """The share of all runs that succeeded, for every pair. It knows no suite, so the deviation is infinite."""

    name = "majority"

    def __init__(self) -> None:
        self._suites: set[str] | None = None
        self._rate = 0.5

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Count. Raises ValueError where there is no pair to learn from."""
        check(logs)
        self._suites = set(logs.suite)
        self._rate = rate(logs)
        return self

    def predict(self, pairs: Pairs) -> Estimates:
        """Raises ValueError before `fit`."""
        return estimates(np.full(len(pairs), self._rate), pairs, self._suites)


class SuiteMean:
    """The share of the suite's runs that succeeded, half a run of each kind added; of all runs for unseen suites.

    It does not know how workflows and tasks differ, so the deviation is infinite.
    """

    name = "suite mean"

    def __init__(self) -> None:
        self._rates: dict[str, float] | None = None
        self._rate = 0.5

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Count. Raises ValueError where there is no pair to learn from."""
        check(logs)
        self._rate = rate(logs)
        self._rates = {str(suite): rate(logs.take(logs.suite == suite)) for suite in np.unique(logs.suite)}
        return self

    def predict(self, pairs: Pairs) -> Estimates:
        """Raises ValueError before `fit`."""
        known = self._rates
        found = np.array([(known or {}).get(str(suite), self._rate) for suite in pairs.suite], float)
        return estimates(found, pairs, None if known is None else set(known))


class _OnFeatures:
    """One classifier for each of what may be known of a pair: its task, its workflow, both or none.

    Each is trained on all pairs, but sees past success rates only of what it will know; it is trained when the first
    such pair is asked for. A run counts once, so a pair counts by its runs. Deviation: infinite, as scikit-learn gives
    none.
    """

    name = ""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._features = Features(Encoder(None) if encoder is None else encoder)
        self._logs: Logs | None = None
        self._classifiers: dict[tuple[bool, bool], Any] = {}

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Learn from scratch. Raises ValueError where there is no pair to learn from."""
        check(logs)
        self._logs, self._classifiers = logs, {}
        with threadpool_limits(1):  # these tables are small: more threads only wait for each other
            self._features.fit(logs)
        return self

    def predict(self, pairs: Pairs) -> Estimates:
        """Raises ValueError before `fit`."""
        if self._logs is None:
            return estimates(np.zeros(0), pairs, None)
        with threadpool_limits(1):
            return estimates(self._probability(self._logs, pairs), pairs, self._features.suites)

    def _probability(self, logs: Logs, pairs: Pairs) -> np.ndarray:
        found = np.full(len(pairs), 0.5)
        content, rates = self._features.content(pairs), self._features.rates(pairs)
        for known in product((True, False), repeat=2):
            rows = (rates.task_known == known[0]) & (rates.workflow_known == known[1])
            if rows.any():
                table = np.hstack([content[rows], rates.of(*known)[rows]])
                found[rows] = self._classifier(logs, *known).predict_proba(table)[:, 1]
        return found

    def _classifier(self, logs: Logs, task: bool, workflow: bool) -> Any:
        """The one that knows past rates of the task or the workflow, or not."""
        if (task, workflow) not in self._classifiers:
            table = np.hstack([self._features.content(logs), self._features.past(logs).of(task, workflow)])
            weight = np.concatenate([logs.successes, logs.runs - logs.successes]) + DOUBT
            label = np.repeat([1, 0], len(logs))
            self._classifiers[task, workflow] = self._train(np.vstack([table, table]), label, weight)
        return self._classifiers[task, workflow]

    def _train(self, table: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Any:
        raise NotImplementedError


class LogisticRegression(_OnFeatures):
    """scikit-learn's logistic regression on standardised features."""

    name = "logistic"

    def _train(self, table: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Any:
        model = make_pipeline(StandardScaler(), SklearnLogistic(C=STRENGTH, max_iter=500))
        return model.fit(table, label, logisticregression__sample_weight=weight)


class GradientBoosting(_OnFeatures):
    """scikit-learn's gradient boosting of small trees."""

    name = "boosting"

    def _train(self, table: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Any:
        model = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=0
        )
        return model.fit(table, label, sample_weight=weight)


STRENGTH = 0.01  # inverse strength of logistic regression's penalty: the rows of a pair are far from independent


def check(logs: Logs) -> None:
    """Raises ValueError where there is nothing to learn from."""
    if not len(logs):
        raise ValueError("an estimator needs at least one pair to learn from, but the logs are empty")


def rate(logs: Logs) -> float:
    """The share of runs that succeeded, half a run of each kind added, so that it is never 0 or 1."""
    return float((logs.successes.sum() + 0.5) / (logs.runs.sum() + 1))


def estimates(probability: np.ndarray, pairs: Pairs, suites: set[str] | None) -> Estimates:
    """Estimates of no known deviation, which abstain outside the suites that training has seen.

    Raises:
        ValueError: there was no training.
    """
    if suites is None:
        raise ValueError("an estimator can predict only after `fit`")
    unseen = np.array([str(suite) not in suites for suite in pairs.suite], bool)
    return Estimates(np.clip(probability, EDGE, 1 - EDGE), np.full(len(pairs), np.inf), unseen)
